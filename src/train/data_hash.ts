/** What tells a run's data from other data of the same size. */

import { toHex } from "../runtime/bytes.ts";

/** Bytes that are hashed at a time: they are copied. */
const PIECE_BYTES = 2 ** 24;

/**
 * A SHA-256 of all that a task was made of: that of its pieces' hashes, one after another.
 *
 * @param parts Texts, and arrays of numbers, in a fixed order.
 */
export async function dataHash(
  parts: readonly (string | ArrayBufferView)[],
): Promise<string> {
  const digests: Uint8Array[] = [];
  const encoder = new TextEncoder();
  const add = async (bytes: Uint8Array<ArrayBuffer>) =>
    digests.push(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  for (const part of parts) {
    const { buffer, byteOffset, byteLength } = typeof part === "string"
      ? encoder.encode(part)
      : part;
    // Where a part ends belongs to it.
    await add(encoder.encode(String(byteLength)));
    for (let at = 0; at < byteLength; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, byteLength - at);
      await add(new Uint8Array(new Uint8Array(buffer, byteOffset + at, length)));
    }
  }
  const all = new Uint8Array(digests.flatMap((digest) => [...digest]));
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
}
