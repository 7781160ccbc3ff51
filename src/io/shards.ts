import { quote } from "./quote.ts";
import { resolveTensorRange, type TensorFile, type TensorInfo } from "./tensor_file.ts";

/** The largest published checkpoints have some 200 files. Each is a handle that the system counts. */
const MAX_SHARDS = 1000;

/**
 * Opens the files that an index of either format (`*.index.json`) names, as one.
 *
 * @param index The index, parsed.
 * @param name What messages call the index.
 * @param openShard Opens one file by its plain name.
 * @param fail Makes the error from what was found.
 * @returns All tensors as one file, in the order of the index.
 */
export async function openShards(
  index: unknown,
  name: string,
  openShard: (file: string) => Promise<TensorFile>,
  fail: (found: string) => Error,
): Promise<TensorFile> {
  const weightMap = parseWeightMap(index, fail);
  const files = new Set(weightMap.values());
  if (files.size > MAX_SHARDS) {
    throw fail(`it names ${files.size} files, and at most ${MAX_SHARDS} are allowed`);
  }
  const shards = new Map<string, TensorFile>();
  try {
    for (const file of files) shards.set(file, await openShard(file));
    return joinShards(weightMap, name, shards, fail);
  } catch (error) {
    for (const shard of shards.values()) shard[Symbol.dispose]();
    throw error;
  }
}

/** One file of all that the index names. */
function joinShards(
  weightMap: ReadonlyMap<string, string>,
  name: string,
  shards: ReadonlyMap<string, TensorFile>,
  fail: (found: string) => Error,
): TensorFile {
  const sources = new Map<string, TensorFile>();
  const tensors = new Map<string, TensorInfo>();
  for (const [tensor, file] of weightMap) {
    const shard = shards.get(file);
    const info = shard?.tensors.get(tensor);
    if (shard === undefined || info === undefined) {
      throw fail(`tensor ${quote(tensor)} should be in ${quote(file)}, which lacks it`);
    }
    sources.set(tensor, shard);
    tensors.set(tensor, info);
  }
  checkLeftovers(shards, weightMap, fail);
  const metadata = new Map([...shards.values()].flatMap((shard) => [...shard.metadata]));
  return new ShardedFile(name, tensors, metadata, sources);
}

/** The index's own order of names is kept; JSON has at most one file a tensor. */
function parseWeightMap(index: unknown, fail: (found: string) => Error): Map<string, string> {
  const map = isObject(index) ? index["weight_map"] : undefined;
  if (!isObject(map)) throw fail("it has no weight_map, an object from tensor to file name");
  const weightMap = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string") throw fail(`weight_map has no file name for ${quote(tensor)}`);
    // A shard is beside its index: a path could lead anywhere on this machine or on another.
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.+=-]*$/.test(file) || file.includes("..")) {
      throw fail(
        `tensor ${quote(tensor)} is in ${
          quote(file)
        }, which is not the plain name of a file beside it`,
      );
    }
    weightMap.set(tensor, file);
  }
  if (weightMap.size === 0) throw fail("its weight_map is empty");
  return weightMap;
}

/** A tensor that a shard has and the index does not would be lost without a word. */
function checkLeftovers(
  shards: ReadonlyMap<string, TensorFile>,
  weightMap: ReadonlyMap<string, string>,
  fail: (found: string) => Error,
): void {
  for (const [file, shard] of shards) {
    for (const tensor of shard.tensors.keys()) {
      const expected = weightMap.get(tensor);
      if (expected === file) continue;
      throw fail(
        `tensor ${quote(tensor)} is in ${quote(file)}, and the index ` +
          (expected === undefined ? "does not name it" : `says ${quote(expected)}`),
      );
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

class ShardedFile implements TensorFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #sources: ReadonlyMap<string, TensorFile>;

  constructor(
    name: string,
    tensors: ReadonlyMap<string, TensorInfo>,
    metadata: ReadonlyMap<string, string>,
    sources: ReadonlyMap<string, TensorFile>,
  ) {
    this.name = name;
    this.tensors = tensors;
    this.metadata = metadata;
    this.#sources = sources;
  }

  async read(name: string, start = 0, end?: number): Promise<Uint8Array<ArrayBuffer>> {
    const range = resolveTensorRange(this, name, start, end);
    const shard = this.#sources.get(name);
    return await shard?.read(name, range.start, range.end) ?? new Uint8Array();
  }

  [Symbol.dispose](): void {
    for (const shard of new Set(this.#sources.values())) shard[Symbol.dispose]();
  }
}
