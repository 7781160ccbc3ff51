import { compareDTypes, type DType } from "../dtype.ts";
import { quote } from "../quote.ts";
import { tensorSizeBytes } from "../tensor_file.ts";
import { writeError } from "../write_error.ts";

/** What a header says of one tensor. */
export interface TensorDescription {
  /** Unique among those written together; not `__metadata__`. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Sizes, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
}

/** One tensor to be written. */
export interface TensorToWrite extends TensorDescription {
  /** Row-major little-endian elements. */
  readonly bytes: Uint8Array;
}

/** What comes before the data, and the order in which the data follows it. */
export interface SafetensorsHeader<Tensor extends TensorDescription> {
  /** The header's length, and the header. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The tensors in the order of the file. */
  readonly tensors: readonly Tensor[];
}

const ENCODER = new TextEncoder();

/**
 * Encodes a safetensors header, to the byte as the reference implementation writes it: the types of
 * larger alignment first, then by name, padded with spaces so that the data is aligned to 8 bytes.
 *
 * The reference implementation writes several metadata keys in no fixed order. Here they keep the
 * order given, so that the same input gives the same file.
 *
 * @param tensors All tensors, in any order.
 * @param metadata Text to keep beside them; default none.
 * @returns The header, and the tensors in the order in which their bytes must follow.
 * @throws {TypeError} If a name comes twice, a shape is none, or bytes that are given do not match it.
 */
export function encodeSafetensorsHeader<Tensor extends TensorDescription>(
  tensors: Iterable<Tensor>,
  metadata: Iterable<readonly [string, string]> | Readonly<Record<string, string>> = [],
): SafetensorsHeader<Tensor> {
  const sorted = [...tensors].map((tensor) => ({ tensor, key: ENCODER.encode(tensor.name) }))
    .sort((a, b) => compareDTypes(b.tensor.dtype, a.tensor.dtype) || compareBytes(a.key, b.key))
    .map(({ tensor }) => tensor);
  const members: string[] = [];
  const pairs = Symbol.iterator in metadata ? [...metadata] : Object.entries(metadata);
  if (pairs.length > 0) {
    const texts = pairs.map(([key, value]) => `${toJson(key)}:${toJson(value)}`);
    members.push(`"__metadata__":{${texts.join(",")}}`);
  }
  const names = new Set(["__metadata__"]);
  let begin = 0;
  for (const tensor of sorted) {
    const end = begin + checkTensor(tensor, names);
    members.push(
      `${toJson(tensor.name)}:{"dtype":"${tensor.dtype}","shape":[${tensor.shape.join(",")}],` +
        `"data_offsets":[${begin},${end}]}`,
    );
    begin = end;
  }
  const json = ENCODER.encode(`{${members.join(",")}}`);
  const paddedBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + paddedBytes).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(paddedBytes), true);
  bytes.set(json, 8);
  return { bytes, tensors: sorted };
}

/**
 * Encodes a whole safetensors file in memory.
 *
 * @param tensors All tensors, in any order.
 * @param metadata Text to keep beside them; default none.
 * @returns The file's bytes.
 * @throws {TypeError} If a name comes twice, or bytes do not match dtype and shape.
 */
export function encodeSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata: Iterable<readonly [string, string]> | Readonly<Record<string, string>> = [],
): Uint8Array<ArrayBuffer> {
  const header = encodeSafetensorsHeader(tensors, metadata);
  const sizeBytes = header.tensors.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  const file = new Uint8Array(header.bytes.length + sizeBytes);
  file.set(header.bytes);
  let position = header.bytes.length;
  for (const { bytes } of header.tensors) {
    file.set(bytes, position);
    position += bytes.byteLength;
  }
  return file;
}

/**
 * Writes a safetensors file. Needs `--allow-read` and `--allow-write` for its folder.
 *
 * It is written beside its final place and then renamed, so that at no moment is there half a file
 * under that name. Where anything fails, what was there before is untouched and nothing is left over.
 *
 * @param path Where to write; an existing file is replaced.
 * @param tensors All tensors, in any order.
 * @param metadata Text to keep beside them; default none.
 * @throws {TypeError} If a name comes twice, or bytes do not match dtype and shape.
 * @throws {Error} If the system refuses, such as where a disk is full; it names the file.
 */
export async function writeSafetensors(
  path: string | URL,
  tensors: Iterable<TensorToWrite>,
  metadata: Iterable<readonly [string, string]> | Readonly<Record<string, string>> = [],
): Promise<void> {
  const header = encodeSafetensorsHeader(tensors, metadata);
  const temporary = besidePath(path, `.${crypto.randomUUID()}.tmp`);
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true });
    try {
      await writeAll(file, header.bytes);
      for (const { bytes } of header.tensors) await writeAll(file, bytes);
      // A rename may reach the disk before the data does: after a power cut the name would hold nothing.
      await file.syncData();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw writeError(String(path), String(temporary), error);
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}

function besidePath(path: string | URL, suffix: string): string | URL {
  if (typeof path === "string") return path + suffix;
  const url = new URL(path);
  url.pathname += suffix;
  return url;
}

/** Bytes that the tensor has in the file. */
function checkTensor(
  { name, dtype, shape, bytes }: TensorDescription & Partial<TensorToWrite>,
  names: Set<string>,
): number {
  const fail = (found: string) => new TypeError(`Cannot write tensor ${quote(name)}: ${found}`);
  if (names.has(name)) throw fail("the name is taken, and each must be unique");
  names.add(name);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw fail(`shape is [${shape.join(", ")}], and sizes must be whole numbers of 0 or more`);
  }
  const needed = tensorSizeBytes(dtype, shape);
  if (needed === undefined || (bytes !== undefined && bytes.byteLength !== needed)) {
    throw fail(
      `it has ${bytes?.byteLength ?? "too many"} bytes, and dtype ${dtype} with shape ` +
        `[${shape.join(", ")}] needs ${needed ?? "more than 2^53"}`,
    );
  }
  return needed;
}

function toJson(text: string): string {
  if (!text.isWellFormed()) {
    throw new TypeError(`Cannot write ${quote(text)}: it is not well-formed Unicode`);
  }
  return JSON.stringify(text);
}

/** The reference orders names by their UTF-8 bytes, which UTF-16 order differs from. */
function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
