/** Bytes of hand-built files: text as UTF-8, a number as one byte, arrays and bytes as they are. */
export type BytePart = string | number | readonly number[] | Uint8Array;

/** All parts, one after the other. */
export function joinBytes(...parts: readonly BytePart[]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const chunks = parts.map((part) =>
    typeof part === "string"
      ? encoder.encode(part)
      : Uint8Array.from(typeof part === "number" ? [part] : part)
  );
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

/** `value` as a little-endian integer of `length` bytes. */
export function le(value: number | bigint, length: number): number[] {
  return Array.from(
    { length },
    (_, i) => Number(BigInt.asUintN(64, BigInt(value)) >> BigInt(8 * i) & 0xffn),
  );
}
