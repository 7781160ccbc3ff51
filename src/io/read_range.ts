/** Parts of files, read at once: batches are made between steps, and none waits for another. */

/**
 * Reads so many bytes of a file from a place on; fewer at its end. The file is open no longer than that.
 *
 * @param path The file.
 * @param offset First byte.
 * @param length Number of bytes.
 */
export function readRange(path: string, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const file = Deno.openSync(path);
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = file.readSync(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } finally {
    file.close();
  }
}
