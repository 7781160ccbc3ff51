/** Writes PNG files for tests, sound and broken. */

import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";

/** One chunk: length, type, data, checksum. */
export function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(Buffer.from(bytes.subarray(4, 8 + data.length))));
  return bytes;
}

/** The header chunk. */
export function header(
  width: number,
  height: number,
  depth: number,
  colorType: number,
  interlace = 0,
): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, colorType, 0, 0, interlace], 8);
  return chunk("IHDR", data);
}

/** Compressed rows. */
export function data(rows: Uint8Array): Uint8Array {
  return chunk("IDAT", new Uint8Array(deflateSync(rows)));
}

/** A whole file: the signature, the given chunks, and the end. */
export function file(...chunks: Uint8Array[]): Uint8Array {
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Uint8Array(
    Buffer.concat([signature, ...chunks, chunk("IEND", new Uint8Array(0))]),
  );
}

/** An 8-bit image with unfiltered rows. Color types: 0 grey, 2 RGB, 4 grey + alpha, 6 RGB + alpha. */
export function encodePng(
  width: number,
  height: number,
  colorType: 0 | 2 | 4 | 6,
  samples: Uint8Array,
): Uint8Array {
  const rowBytes = samples.length / height;
  const rows = new Uint8Array(height * (rowBytes + 1));
  for (let y = 0; y < height; y++) {
    rows.set(samples.subarray(y * rowBytes, (y + 1) * rowBytes), y * (rowBytes + 1) + 1);
  }
  return file(header(width, height, 8, colorType), data(rows));
}
