import type { ByteSource } from "./byte_source.ts";
import { NotFound } from "./file_access.ts";
import { foreignForm } from "./foreign_file.ts";
import { type Folder, locate, type LocateOptions } from "./folder.ts";
import { openPyTorchZip, PyTorchFileError } from "./pytorch/pytorch_zip.ts";
import { quote } from "./quote.ts";
import { openSafetensors } from "./safetensors/safetensors.ts";
import { openShardedSafetensors } from "./safetensors/index_file.ts";
import { openShards } from "./shards.ts";
import { unwrapped } from "./state_dict.ts";
import type { TensorFile } from "./tensor_file.ts";

/** A model's files: what describes it, its tensors, and what lies beside them. */
export interface Checkpoint extends Disposable {
  /** The folder, or the single file, as messages call it. */
  readonly name: string;
  /** What the config holds, parsed; undefined where a bare weights file has none beside it. */
  readonly config: unknown;
  /** The config's file: "config.json", or "params.json" where that is all there is. */
  readonly configName: string;
  /** The weights. */
  readonly tensors: TensorFile;
  /**
   * Reads a small text file of the same folder, such as "tokenizer.json".
   *
   * @returns The text, or undefined if there is no such file.
   * @throws {RangeError} If the name is not a plain file name, or the file is larger than 100 MB.
   * @throws {SyntaxError} If it is not UTF-8.
   */
  readText(file: string): Promise<string | undefined>;
}

const MAX_CONFIG_BYTES = 10_000_000;
/** The index of a model with 100,000 tensors has about 10 MB, the largest tokenizers some 30 MB. */
const MAX_TEXT_BYTES = 100_000_000;

/** What describes the model, the first that is there counts; Mistral's form of Codestral Mamba has the second. */
const CONFIGS = ["config.json", "params.json"];

/** What a folder may hold its weights in, the first that is there counts. */
const WEIGHTS = [
  "model.safetensors",
  "model.safetensors.index.json",
  "consolidated.safetensors",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

/**
 * Opens a checkpoint: a folder in the Hugging Face form, or a single weights file.
 *
 * A folder must have config.json or params.json, and one of model.safetensors, model.safetensors.index.json,
 * consolidated.safetensors, pytorch_model.bin and pytorch_model.bin.index.json; the first of these counts. Of a single file
 * (`.safetensors`, `.bin`, `.pth`, `.pt` or an index; another name is told by its first bytes) the config is taken if
 * it lies beside it.
 *
 * Needs `--allow-read` of the folder, or `--allow-net` of the host, and nothing else; a hub also needs leave to keep
 * what it downloads, see docs/hub.md.
 *
 * @param location A path, a `file:`, `http:` or `https:` URL, or a hub's "owner/name" or "owner/name@revision" where
 * there is no folder of that name. A folder's URL may end in a slash.
 * @param options How to reach a server, and who is told.
 * @returns The checkpoint; it holds handles or connections until disposed with `using`.
 * @throws {Deno.errors.NotFound} If the folder, its config or its weights are not there.
 * @throws {SyntaxError} If config.json is not JSON, or the weights are malformed.
 * @throws {HttpError} If the server refuses.
 */
export async function openCheckpoint(
  location: string | URL,
  options: LocateOptions = {},
): Promise<Checkpoint> {
  const { folder, file } = await locate(location, options);
  const weights = await openWeights(folder, file);
  try {
    const { config, configName } = await readConfig(folder);
    if (config === undefined && file === undefined) {
      throw new NotFound(
        `Cannot load ${quote(folder.name)}: it has ${
          quote(weights.name)
        } but no config.json, which ` +
          `says what the tensors mean`,
      );
    }
    return {
      name: file === undefined ? folder.name : weights.name,
      config,
      configName,
      tensors: weights,
      readText: (name) => readText(folder, name, MAX_TEXT_BYTES),
      [Symbol.dispose]: () => weights[Symbol.dispose](),
    };
  } catch (error) {
    weights[Symbol.dispose]();
    throw error;
  }
}

async function openWeights(folder: Folder, file: string | undefined): Promise<TensorFile> {
  for (const name of file === undefined ? WEIGHTS : [file]) {
    const source = await folder.open(name);
    if (source !== undefined) return unwrapped(await openTensors(folder, name, source));
  }
  throw new NotFound(
    file === undefined
      ? `Cannot load ${quote(folder.name)}: it has no weights: looked for ${WEIGHTS.join(", ")}`
      : `Cannot load ${quote(file)}: ${quote(folder.name)} has no such file`,
  );
}

async function openTensors(folder: Folder, name: string, source: ByteSource): Promise<TensorFile> {
  const openBeside = async (file: string): Promise<ByteSource> => {
    const shard = await folder.open(file);
    if (shard !== undefined) return shard;
    throw new NotFound(
      `Cannot load ${quote(folder.name)}: ${name} names ${quote(file)}, which is not there`,
    );
  };
  if (name.endsWith(".index.json")) {
    const index = parseJson(await readAndClose(source, MAX_TEXT_BYTES), source.name);
    if (name.includes(".safetensors.")) {
      return await openShardedSafetensors(index, source.name, openBeside);
    }
    return await openShards(
      index,
      source.name,
      async (file) => await openPyTorchZip(await openBeside(file)),
      (found) => new PyTorchFileError(`Cannot read ${quote(source.name)}: ${found}`),
    );
  }
  return await (await isSafetensors(name, source)
    ? openSafetensors(source)
    : openPyTorchZip(source));
}

/** The name says what a file is; one without a known ending (a saved state, say) is told by its first bytes. */
async function isSafetensors(name: string, source: ByteSource): Promise<boolean> {
  if (/\.(safetensors|bin|pth|pt)$/i.test(name)) return name.endsWith(".safetensors");
  const [first, second] = await source.read(0, Math.min(2, source.sizeBytes));
  const isZip = first === 0x50 && second === 0x4b;
  return !isZip;
}

async function readConfig(folder: Folder): Promise<{ config: unknown; configName: string }> {
  for (const configName of CONFIGS) {
    const source = await folder.open(configName);
    if (source === undefined) continue;
    const text = await readAndClose(source, MAX_CONFIG_BYTES);
    return { config: parseJson(withFiniteNumbers(text), source.name), configName };
  }
  return { config: undefined, configName: "config.json" };
}

/** Python writes infinity as a bare word, which JSON has not; as a number too large it comes out the same. */
function withFiniteNumbers(text: string): string {
  return text.replace(
    /"(?:[^"\\]|\\[^])*"?|\bInfinity\b/g,
    (found) => found === "Infinity" ? "1e999" : found,
  );
}

/**
 * Parses a small text file.
 *
 * @param text What it holds.
 * @param name What error messages call it.
 * @throws {SyntaxError} If it is not JSON.
 */
export function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new SyntaxError(`Cannot read ${quote(name)}: it is not JSON: ${detail}`, {
      cause: error,
    });
  }
}

async function readText(folder: Folder, file: string, limit: number): Promise<string | undefined> {
  if (!/^[^/\\]+$/.test(file) || file === "." || file === "..") {
    throw new RangeError(`Cannot read ${quote(file)}: it is not the plain name of a file`);
  }
  const source = await folder.open(file);
  return source === undefined ? undefined : await readAndClose(source, limit);
}

/** Reads a text and disposes its source. */
async function readAndClose(source: ByteSource, limit: number): Promise<string> {
  try {
    return await readAll(source, limit);
  } finally {
    source[Symbol.dispose]();
  }
}

async function readAll(source: ByteSource, limit: number): Promise<string> {
  if (source.sizeBytes > limit) {
    throw new RangeError(
      `Cannot read ${
        quote(source.name)
      }: it has ${source.sizeBytes} bytes, and at most ${limit} are ` +
        `allowed`,
    );
  }
  const bytes = await source.read(0, source.sizeBytes);
  const foreign = foreignForm(bytes);
  if (foreign !== undefined) throw new SyntaxError(`Cannot read ${quote(source.name)}: ${foreign}`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SyntaxError(`Cannot read ${quote(source.name)}: it is not UTF-8`, { cause: error });
  }
}
