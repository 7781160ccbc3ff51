/** Files that are whole or not there. */

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

/** Writes beside the final place, then renames: nobody ever sees half a file under that name. */
export async function writeFileWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeFile(temporary, bytes, { createNew: true });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw writeError(path, temporary, error);
  }
}
