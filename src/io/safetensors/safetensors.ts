import type { ByteSource } from "../byte_source.ts";
import { type DType, isDType } from "../dtype.ts";
import { foreignBinary, TOLD_BY_BYTES } from "../foreign_file.ts";
import { JsonScanner } from "./json_scanner.ts";
import { quote } from "../quote.ts";
import {
  MAX_RANK,
  resolveTensorRange,
  type TensorFile,
  type TensorInfo,
  tensorSizeBytes,
} from "../tensor_file.ts";

/** The reference implementation's limit, so that both accept the same files. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Above any model (mixtures of hundreds of experts reach 100,000), below what fills the memory. */
const MAX_TENSORS = 250_000;

/** What the format says about one tensor, and where its bytes are, counted from the data's start. */
interface Entry extends TensorInfo {
  readonly begin: number;
  readonly end: number;
}

interface Header {
  readonly entries: Map<string, Entry>;
  readonly metadata: Map<string, string>;
}

/**
 * A safetensors file is malformed. Reading it again will not help; downloading it again may.
 *
 * @example A snapshot that was cut short
 * ```ts
 * import { decodeSnapshot, SafetensorsError } from "../../../mod.ts";
 *
 * const error = await decodeSnapshot(new Uint8Array(4)).catch((error) => error);
 * error instanceof SafetensorsError; // true
 * ```
 */
export class SafetensorsError extends SyntaxError {
  /** The class's name. */
  override readonly name = "SafetensorsError";
}

/**
 * Opens a safetensors file: reads and checks its header, and no tensor.
 *
 * Every tensor is checked against the file's size before this returns: the tensors cover the data
 * exactly, with no hole and no overlap, as the format demands.
 *
 * @param source The bytes. The file takes it over: disposing the file disposes it, and so does failing.
 * @returns The tensors and the metadata.
 * @throws {SafetensorsError} If the file is malformed.
 */
export async function openSafetensors(source: ByteSource): Promise<TensorFile> {
  try {
    const fail = (found: string) =>
      new SafetensorsError(`Cannot read ${quote(source.name)}: ${found}`);
    // Read again only where it is no safetensors: over a network the header is one request.
    const foreign = async () => {
      const start = await source.read(0, Math.min(source.sizeBytes, TOLD_BY_BYTES));
      if (start[0] !== 0x50 || start[1] !== 0x4b) return foreignBinary(start);
      return "it is a zip archive, such as torch.save writes: give it a name that ends in .bin";
    };
    if (source.sizeBytes < 8) {
      throw fail(
        `it has ${source.sizeBytes} bytes, and a safetensors file starts with 8 that give the ` +
          `header's length: the download may be incomplete`,
      );
    }
    const prefix = await source.read(0, 8);
    const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
    if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
      throw fail(
        await foreign() ??
          `the header's length is ${headerBytes}, and at most ${MAX_HEADER_BYTES} is allowed: it may ` +
            `not be a safetensors file`,
      );
    }
    const dataStart = 8 + Number(headerBytes);
    if (dataStart > source.sizeBytes) {
      throw fail(
        await foreign() ??
          `the header ends at byte ${dataStart}, past the end of the file at ${source.sizeBytes}: ` +
            `the download may be incomplete`,
      );
    }
    const header = parseHeader(await source.read(8, dataStart - 8), fail);
    checkLayout(header.entries, dataStart, source.sizeBytes, fail);
    return new SafetensorsFile(source, header, dataStart);
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

function parseHeader(bytes: Uint8Array, fail: (found: string) => Error): Header {
  const entries = new Map<string, Entry>();
  const metadata = new Map<string, string>();
  const scanner = new JsonScanner(bytes, (found) => fail(`in the header, ${found}`));
  scanner.object((name) => {
    if (name === "__metadata__") {
      scanner.object((key) => {
        if (scanner.peek() !== '"') throw fail(`__metadata__ ${quote(key)} is not a string`);
        metadata.set(key, scanner.string());
      });
      return;
    }
    if (entries.size === MAX_TENSORS) throw fail(`it has more than ${MAX_TENSORS} tensors`);
    entries.set(name, parseEntry(scanner, name, fail));
  });
  scanner.end();
  return { entries, metadata };
}

function parseEntry(
  scanner: JsonScanner,
  name: string,
  failFile: (found: string) => Error,
): Entry {
  const fail = (found: string) => failFile(`tensor ${quote(name)} ${found}`);
  let dtype: DType | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  if (scanner.peek() !== "{") throw fail("is not described by an object");
  scanner.object((key) => {
    if (key === "dtype") dtype = parseDType(scanner.string(), fail);
    else if (key === "shape") {
      shape = parseSizes(scanner, MAX_RANK, () => fail(`has more than ${MAX_RANK} dimensions`));
    } else if (key === "data_offsets") {
      offsets = parseSizes(scanner, 2, () => fail("has more than 2 data_offsets"));
    } else scanner.skip();
  });
  if (dtype === undefined) throw fail("has no dtype");
  if (shape === undefined) throw fail("has no shape");
  const [begin, end] = offsets ?? [];
  if (begin === undefined || end === undefined) throw fail("has no two data_offsets");
  const sizeBytes = tensorSizeBytes(dtype, shape);
  if (begin > end) throw fail(`has data_offsets [${begin}, ${end}], of which the first is larger`);
  if (sizeBytes !== end - begin) {
    throw fail(
      `has ${
        end - begin
      } bytes in data_offsets [${begin}, ${end}], and dtype ${dtype} with shape ` +
        `[${shape.join(", ")}] needs ${sizeBytes ?? "more than 2^53"}`,
    );
  }
  return { name, dtype, shape, sizeBytes, begin, end };
}

function parseDType(dtype: string, fail: (found: string) => Error): DType {
  if (isDType(dtype)) return dtype;
  if (/^F[46](_|$)/.test(dtype)) {
    throw fail(
      `has dtype ${
        quote(dtype)
      }, whose bits share bytes in an order that the format leaves open: ` +
        `convert it to F8_E4M3 or F16 first`,
    );
  }
  throw fail(`has the unknown dtype ${quote(dtype)}`);
}

function parseSizes(scanner: JsonScanner, limit: number, tooMany: () => Error): number[] {
  const sizes: number[] = [];
  scanner.array((index) => {
    if (index === limit) throw tooMany();
    sizes.push(scanner.size());
  });
  return sizes;
}

/** Each tensor begins where the one before it ends, and the last ends with the file. */
function checkLayout(
  entries: ReadonlyMap<string, Entry>,
  dataStart: number,
  fileBytes: number,
  fail: (found: string) => Error,
): void {
  const dataBytes = fileBytes - dataStart;
  const sorted = [...entries.values()].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  let previous = "";
  for (const entry of sorted) {
    const tensor = `tensor ${quote(entry.name)}`;
    if (entry.end > dataBytes) {
      throw fail(
        `${tensor} ends at byte ${dataStart + entry.end}, past the end of the file at ` +
          `${fileBytes}: the download may be incomplete`,
      );
    }
    if (entry.begin < position) {
      throw fail(
        `${tensor} begins at byte ${dataStart + entry.begin}, inside tensor ${quote(previous)} ` +
          `that ends at ${dataStart + position}`,
      );
    }
    if (entry.begin > position) {
      throw fail(
        `${tensor} begins at byte ${dataStart + entry.begin}, and the tensors before it end at ` +
          `${dataStart + position}: the bytes between belong to none`,
      );
    }
    position = entry.end;
    previous = entry.name;
  }
  if (position !== dataBytes) {
    throw fail(
      `the tensors end at byte ${dataStart + position}, and the file at ${fileBytes}: the bytes ` +
        `after them belong to none`,
    );
  }
}

class SafetensorsFile implements TensorFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #source: ByteSource;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #dataStart: number;

  constructor(source: ByteSource, header: Header, dataStart: number) {
    this.name = source.name;
    this.tensors = header.entries;
    this.metadata = header.metadata;
    this.#source = source;
    this.#entries = header.entries;
    this.#dataStart = dataStart;
  }

  async read(name: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const range = resolveTensorRange(this, name, start, end);
    const begin = this.#dataStart + (this.#entries.get(name)?.begin ?? 0);
    return await this.#source.read(begin + range.start, range.end - range.start);
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}
