import { type ByteSource, checkReadRange } from "../byte_source.ts";
import { quote } from "../quote.ts";
import {
  type CentralEntry,
  type Fail,
  findDirectory,
  LOCAL_BYTES,
  parseDirectory,
  view,
  type ZipEntry,
  ZipError,
} from "./zip_directory.ts";

export { type ZipEntry, ZipError } from "./zip_directory.ts";

/** The sizes follow the data, and the local header may have zeros in their place. */
const FLAG_DESCRIPTOR = 8;

/** An archive; each file that is stored, not compressed, is readable at any offset. */
export interface ZipArchive {
  /** All files, in the order of the central directory; folders are left out. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /**
   * Reads exactly `length` bytes of one file from `offset` on.
   *
   * @throws {ZipError} If it is compressed, or its local header disagrees with the central directory.
   * @throws {RangeError} If there is no such file, or the range is not inside it.
   */
  read(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * Opens a zip archive, zip64 or not: reads its central directory, and no file.
 *
 * A file's own local header is checked when it is first read, so that opening an archive over the
 * network costs three requests rather than one a file. Checksums are not verified: PyTorch can be
 * told to leave them out.
 *
 * @param source The bytes; the caller keeps them and disposes them.
 * @returns The archive.
 * @throws {ZipError} If it is malformed, or has encrypted, overlapping or duplicate files.
 */
export async function openZip(source: ByteSource): Promise<ZipArchive> {
  const fail: Fail = (found) => new ZipError(`Cannot read ${quote(source.name)}: ${found}`);
  const directory = await findDirectory(source, fail);
  const bytes = await source.read(directory.begin, directory.sizeBytes);
  const entries = parseDirectory(bytes, directory, fail);
  return new Archive(source, entries, fail);
}

class Archive implements ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  readonly #source: ByteSource;
  readonly #entries: ReadonlyMap<string, CentralEntry>;
  readonly #fail: Fail;
  /** Where each file's data begins, once its local header has been checked. */
  readonly #dataBegins = new Map<string, Promise<number>>();

  constructor(source: ByteSource, entries: ReadonlyMap<string, CentralEntry>, fail: Fail) {
    this.entries = entries;
    this.#source = source;
    this.#entries = entries;
    this.#fail = fail;
  }

  async read(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new RangeError(
        `Cannot read file ${quote(name)} of ${
          quote(this.#source.name)
        }: the archive has no such file`,
      );
    }
    checkReadRange(`${this.#source.name}/${name}`, entry.sizeBytes, offset, length);
    let dataBegin = this.#dataBegins.get(name);
    if (dataBegin === undefined) {
      dataBegin = this.#checkLocal(entry);
      // A refused request is not remembered: the next read tries again.
      dataBegin.catch(() => this.#dataBegins.delete(name));
      this.#dataBegins.set(name, dataBegin);
    }
    return await this.#source.read(await dataBegin + offset, length);
  }

  async #checkLocal(entry: CentralEntry): Promise<number> {
    const fail: Fail = (found) => this.#fail(`file ${quote(entry.name)} ${found}`);
    if (entry.method !== 0) {
      throw fail(`is compressed (method ${entry.method}), and only stored files are read`);
    }
    const nameLength = entry.rawName.length;
    const local = await this.#source.read(entry.begin, LOCAL_BYTES + nameLength);
    const data = view(local);
    if (data.getUint32(0, true) !== 0x04034b50) {
      throw fail(`has no local header at byte ${entry.begin}`);
    }
    const rawName = local.subarray(LOCAL_BYTES);
    if (
      data.getUint16(26, true) !== nameLength ||
      !rawName.every((byte, index) => byte === entry.rawName[index])
    ) throw fail("has another name in its local header");
    const dataBegin = entry.begin + LOCAL_BYTES + nameLength + data.getUint16(28, true);
    if (dataBegin + entry.sizeBytes > entry.limit) {
      throw fail(
        `ends at byte ${dataBegin + entry.sizeBytes}, past what follows it at ${entry.limit}`,
      );
    }
    const descriptor = (data.getUint16(6, true) & FLAG_DESCRIPTOR) !== 0;
    const same = (field: number, value: number) =>
      field === value || (descriptor && field === 0) || field === 0xffffffff;
    if (
      data.getUint16(6, true) !== entry.flags || data.getUint16(8, true) !== 0 ||
      !same(data.getUint32(14, true), entry.crc32) ||
      !same(data.getUint32(18, true), entry.sizeBytes) ||
      !same(data.getUint32(22, true), entry.sizeBytes)
    ) throw fail("has a local header that disagrees with the central directory");
    return dataBegin;
  }
}
