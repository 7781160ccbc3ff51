/** A folder as a zip file, stored as it is: weights do not get smaller. */

import { crc32 } from "../../engine/crc32.ts";

/** Sizes of the two records that each file has, without its name. */
const LOCAL_BYTES = 30, CENTRAL_BYTES = 46;

/** Size of the record at the end. */
const END_BYTES = 22;

/** The first of 1980, the earliest day that the format knows: the same files give the same bytes. */
const DATE = (1 << 5) | 1;

/** UTF-8 names. */
const FLAGS = 1 << 11;

/** Version 2.0 of the format: what folders need. */
const VERSION = 20;

/** Puts files into a zip, in a folder of this name. */
export function zipFolder(
  folder: string,
  files: ReadonlyMap<string, Uint8Array>,
): Uint8Array<ArrayBuffer> {
  const entries = [...files].map(([file, bytes]) => ({
    name: new TextEncoder().encode(`${folder}/${file}`),
    bytes,
    checksum: crc32(bytes),
  }));
  const sizeBytes = entries.reduce((sum, { name, bytes }) => {
    return sum + LOCAL_BYTES + CENTRAL_BYTES + 2 * name.length + bytes.length;
  }, END_BYTES);
  const zip = new Uint8Array(sizeBytes);
  const view = new DataView(zip.buffer);
  let at = 0;
  const words = (...values: readonly [bytes: 2 | 4, value: number][]) => {
    for (const [bytes, value] of values) {
      if (bytes === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += bytes;
    }
  };
  const content = (bytes: Uint8Array) => {
    zip.set(bytes, at);
    at += bytes.length;
  };
  const starts = entries.map(({ name, bytes, checksum }) => {
    const start = at;
    words([4, 0x04034b50], [2, VERSION], [2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, checksum]);
    words([4, bytes.length], [4, bytes.length], [2, name.length], [2, 0]);
    content(name);
    content(bytes);
    return start;
  });
  const directory = at;
  for (const [index, { name, bytes, checksum }] of entries.entries()) {
    words([4, 0x02014b50], [2, VERSION], [2, VERSION], [2, FLAGS], [2, 0], [2, 0], [2, DATE]);
    words([4, checksum], [4, bytes.length], [4, bytes.length], [2, name.length], [2, 0], [2, 0]);
    words([2, 0], [2, 0], [4, 0], [4, starts[index] ?? 0]);
    content(name);
  }
  words([4, 0x06054b50], [2, 0], [2, 0], [2, entries.length], [2, entries.length]);
  words([4, at - 12 - directory], [4, directory], [2, 0]);
  return zip;
}
