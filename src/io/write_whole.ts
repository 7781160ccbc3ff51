/** Files that are whole or not there: written beside their place, then renamed. */

import { writeError } from "./write_error.ts";

/**
 * Writes a file: whatever ends the process, the old or the new one is there.
 *
 * @param path The file; one that is there is replaced.
 * @param content Its bytes, or its text.
 * @throws {Error} If the system refuses, such as where a disk is full: it names the file, and nothing is left over.
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true });
    try {
      for (let written = 0; written < bytes.length;) {
        written += await file.write(bytes.subarray(written));
      }
      // A rename may reach the disk before the data does: after a power cut the name would hold nothing.
      await file.syncData();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw writeError(path, temporary, error);
  }
}

/** Whether a file's name is one that is written before it is renamed: a process that was killed leaves such files. */
export function isLeftover(name: string): boolean {
  return /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/.test(name);
}
