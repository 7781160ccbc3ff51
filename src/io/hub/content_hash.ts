/** Whether a file holds what the name of its content says. */

import { createFileHash, type FileHash } from "../file_hash.ts";

const PIECE_BYTES = 2 ** 20;

/**
 * Reads a whole file and compares it with a hash, by the hash's length:
 *
 * - 64 hex digits are the SHA-256 of the content, as of all large files;
 * - 40 are what git calls the file, the SHA-1 of "blob", its length and its content; or the SHA-1 of the content alone,
 *   as proxies in front of a hub say;
 * - anything else tells nothing.
 *
 * @param path The file.
 * @param sizeBytes Its length.
 * @param hash The hash.
 * @returns What was found instead, for a message; undefined if all is well.
 */
export async function findMismatch(
  path: string,
  sizeBytes: number,
  hash: string,
): Promise<string | undefined> {
  if (/^[0-9a-f]{64}$/.test(hash)) {
    const [found] = await digest(path, [createFileHash("sha256")]);
    return found === hash ? undefined : `its SHA-256 is ${found}, and should be ${hash}`;
  }
  if (/^[0-9a-f]{40}$/.test(hash)) {
    const git = createFileHash("sha1").update(`blob ${sizeBytes}\0`);
    const found = await digest(path, [git, createFileHash("sha1")]);
    return found.includes(hash) ? undefined : `git would call it ${found[0]}, and not ${hash}`;
  }
  return undefined;
}

async function digest(path: string, hashes: readonly FileHash[]): Promise<string[]> {
  const file = await Deno.open(path, { read: true });
  try {
    const piece = new Uint8Array(PIECE_BYTES);
    for (let count = await file.read(piece); count !== null; count = await file.read(piece)) {
      for (const hash of hashes) hash.update(piece.subarray(0, count));
    }
  } finally {
    file.close();
  }
  return hashes.map((hash) => hash.digest("hex"));
}
