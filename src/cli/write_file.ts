/** Files that are whole or not there. */

import { writeError } from "../io/write_error.ts";

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
