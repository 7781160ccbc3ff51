/** Whether a file can be written. */

import { writeError } from "../../io/write_error.ts";

/**
 * Makes sure that a file can be written, before work is done that would be lost otherwise.
 *
 * @throws {Error} If its folder is not there or may not be written to, or it is a folder itself.
 */
export async function checkWritable(path: string): Promise<void> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (isFolder) throw new TypeError(`Cannot write "${path}": it is a folder, expected a file`);
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeFile(temporary, new Uint8Array(), { createNew: true });
    await Deno.remove(temporary);
  } catch (error) {
    throw writeError(path, temporary, error);
  }
}
