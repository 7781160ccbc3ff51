/** CRC-32, as zip and PNG have it: finds every flip of one bit, and every damage that is confined to 32 bits in a row. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * The checksum of bytes that come in pieces.
 *
 * @param pieces The bytes, in order.
 * @returns A whole number below 2^32.
 */
export function crc32(...pieces: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const piece of pieces) {
    for (let i = 0; i < piece.length; i++) {
      crc = (TABLE[(crc ^ (piece[i] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}
