import { type ByteSource, checkReadRange } from "./byte_source.ts";
import { quote } from "./quote.ts";
import { requireRegularFile } from "./regular_file.ts";

/**
 * Opens a local file for reading at any offset. Needs `--allow-read` for it and nothing else.
 *
 * @param path A path, or a `file:` URL.
 * @returns The source; it holds a file handle until disposed with `using`.
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {TypeError} If it is a folder, a pipe or a device.
 */
export async function openFile(path: string | URL): Promise<ByteSource> {
  // Before it is opened, which would wait for a pipe's other end.
  await requireRegularFile(path);
  const file = await Deno.open(path, { read: true });
  try {
    const { size } = await file.stat();
    return new FileSource(String(path), size, file);
  } catch (error) {
    file.close();
    throw error;
  }
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly sizeBytes: number;
  readonly #file: Deno.FsFile;
  #open = true;
  // A handle has one position: a read that starts while another is under way would move it.
  #last: Promise<unknown> = Promise.resolve();

  constructor(name: string, sizeBytes: number, file: Deno.FsFile) {
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.#file = file;
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const result = this.#last.then(() => this.#read(offset, length));
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#open) throw new TypeError(`Cannot read ${quote(this.name)}: it is closed`);
    checkReadRange(this.name, this.sizeBytes, offset, length);
    const bytes = new Uint8Array(length);
    await this.#file.seek(offset, Deno.SeekMode.Start);
    for (let filled = 0; filled < length;) {
      const count = await this.#file.read(bytes.subarray(filled));
      if (count === null) {
        throw new RangeError(
          `Cannot read ${quote(this.name)}: it ended at byte ${offset + filled}, and had ` +
            `${this.sizeBytes} bytes when it was opened: something is changing it`,
        );
      }
      filled += count;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }
}
