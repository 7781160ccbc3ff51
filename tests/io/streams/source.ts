/** Sources of streams, cut into pieces of any size. */

/** The bytes, `size` at a time. */
export async function* inPieces(
  bytes: Uint8Array<ArrayBuffer>,
  size: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.slice(at, at + size));
  }
}

/** Text as bytes. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes one behind the other. */
export function joined(...parts: readonly (Uint8Array | readonly number[])[]) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
