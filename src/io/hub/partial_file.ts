/** A file that grows: what has come so far of one that is being downloaded. */

import { writeError } from "../write_error.ts";

/** Opened by {@linkcode openPartialFile}. */
export class PartialFile implements Disposable {
  /** What is in it. */
  sizeBytes: number;
  readonly #path: string;
  readonly #file: Deno.FsFile;

  /** Takes over a handle that stands at the end of the file. */
  constructor(path: string, file: Deno.FsFile, sizeBytes: number) {
    this.#path = path;
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  /** Writes a piece at the end. */
  async append(piece: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < piece.length;) {
        const count = await this.#file.write(piece.subarray(written));
        written += count;
        this.sizeBytes += count;
      }
    } catch (error) {
      throw writeError(this.#path, this.#path, error);
    }
  }

  /** Throws away what is in it. */
  async clear(): Promise<void> {
    await this.#file.truncate(0);
    await this.#file.seek(0, Deno.SeekMode.Start);
    this.sizeBytes = 0;
  }

  /** Waits until all of it is on the disk. */
  async sync(): Promise<void> {
    await this.#file.syncData();
  }

  /** Closes the file, which stays. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Opens a file at its end, or makes it. */
export async function openPartialFile(path: string): Promise<PartialFile> {
  const file = await Deno.open(path, { create: true, read: true, write: true });
  try {
    return new PartialFile(path, file, await file.seek(0, Deno.SeekMode.End));
  } catch (error) {
    file.close();
    throw error;
  }
}
