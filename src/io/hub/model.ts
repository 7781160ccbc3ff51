/** A model on a hub, as a folder: its own files, and those that published models keep elsewhere. */

import { type ByteSource, fromBytes } from "../byte_source.ts";
import { NotFound } from "../file_access.ts";
import { HttpError } from "../http/requests.ts";
import type { HubOptions } from "./client.ts";
import type { HubFiles } from "./files.ts";
import type { HubId } from "./id.ts";
import { HubRepository } from "./repository.ts";
import type { HubSettings } from "./settings.ts";
import { WebRepository } from "./web_repository.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";

/**
 * The raw Mamba-1 repositories have safetensors in a pull request that nobody merged, and in their main branch what
 * PyTorch writes. It is the first request but for one.
 */
const SAFETENSORS_REVISION = "refs/pr/1";
const SAFETENSORS_REVISIONS = new Map([["state-spaces/mamba-2.8b", "refs/pr/4"]]);

/** The raw repositories have no tokenizer: this one's made their ids ... */
const TOKENIZER_REPOSITORY = "EleutherAI/gpt-neox-20b";
/** ... but for those of Mamba-3, whose ids are of this one, which lets in only who asked. */
const MAMBA3_TOKENIZER_REPOSITORY = "meta-llama/Llama-3.1-8B";

/** Files of a model, downloaded when they are asked for; in a page, read where they are. */
export class HubModel {
  /** What messages call it. */
  readonly name: string;
  readonly #main: HubFiles;
  readonly #open: (name: string, at: string) => HubFiles;
  /** Where weights are looked for that the model itself lacks; undefined where nowhere. */
  readonly #elsewhere: HubFiles | undefined;
  /** Where weights were found. */
  #weights: HubFiles;
  #config: Promise<Record<string, unknown>> | undefined;

  /**
   * Names what may be needed; nothing is asked yet.
   *
   * @param id Which model.
   * @param settings Where the hub and the cache are; undefined in a page, which has none of its own.
   * @param options How the hub is reached.
   */
  constructor(
    { repository, revision }: HubId,
    settings: HubSettings | undefined,
    options: HubOptions,
  ) {
    const open = this.#open = (name: string, at: string): HubFiles =>
      settings === undefined
        ? new WebRepository(name, at, options)
        : new HubRepository(name, at, settings, options);
    this.name = `${repository}@${revision ?? "main"}${settings?.offline ? " (offline)" : ""}`;
    this.#weights = this.#main = open(repository, revision ?? "main");
    // Who names a revision wants that one and no other.
    this.#elsewhere = revision === undefined
      ? open(repository, SAFETENSORS_REVISIONS.get(repository) ?? SAFETENSORS_REVISION)
      : undefined;
  }

  /**
   * Opens a file, after a download if need be.
   *
   * @param file A plain name, such as "config.json".
   * @returns The source, or undefined if the model has no such file.
   */
  async open(file: string): Promise<ByteSource | undefined> {
    // The config comes first, whatever is asked for first: it says what kind of repository this is.
    const isRaw = isRawConfig(await this.#readConfig());
    const isWeights = /\.(safetensors|bin|pth|pt)(\.index\.json)?$/.test(file);
    let source = await (isWeights ? this.#weights : this.#main).open(file);
    if (source === undefined && isRaw && /\.safetensors(\.index\.json)?$/.test(file)) {
      source = await this.#openElsewhere(file);
    }
    if (source === undefined && isRaw && file === "tokenizer.json") {
      source = await this.#openTokenizer();
    }
    if (source === undefined || !file.endsWith(".index.json")) return source;
    const { text, copy } = await readSmall(source);
    await this.#fetchShards(text);
    return copy;
  }

  async #openElsewhere(file: string): Promise<ByteSource | undefined> {
    const source = this.#elsewhere === undefined ? undefined : await ifThere(this.#elsewhere, file);
    if (source !== undefined) this.#weights = this.#elsewhere ?? this.#weights;
    return source;
  }

  /** Undefined where it has more ids than the model: then others made the model's. */
  async #openTokenizer(): Promise<ByteSource | undefined> {
    const config = await this.#readConfig();
    const name = isMamba3(config) ? MAMBA3_TOKENIZER_REPOSITORY : TOKENIZER_REPOSITORY;
    const source = await ifThere(this.#open(name, "main"), "tokenizer.json");
    if (source === undefined) return undefined;
    const { text, copy } = await readSmall(source);
    const { vocabSize } = loadTokenizer(text, source.name);
    const { vocab_size, pad_vocab_size_multiple: multiple = 8 } = config;
    const rows = Math.ceil(Number(vocab_size) / Number(multiple)) * Number(multiple);
    return vocabSize <= rows ? copy : undefined;
  }

  /** All at once, so that progress knows the sum. Whether the index makes sense is its reader's concern. */
  async #fetchShards(index: string): Promise<void> {
    const { weight_map } = parseObject(index);
    const files = typeof weight_map === "object" ? Object.values(weight_map ?? {}) : [];
    const isPlain = (file: unknown) => typeof file === "string" && /^\w[\w.+=-]*$/.test(file);
    await this.#weights.fetchAll([...new Set(files)].filter(isPlain));
  }

  #readConfig(): Promise<Record<string, unknown>> {
    this.#config ??= this.#main.open("config.json").then(async (source) =>
      source === undefined ? {} : parseObject((await readSmall(source)).text)
    );
    return this.#config;
  }
}

/** The dialect of state-spaces: see src/model/config, which reads both. */
function isRawConfig(config: Record<string, unknown>): boolean {
  return "d_model" in config && !("model_type" in config);
}

function isMamba3({ ssm_cfg }: Record<string, unknown>): boolean {
  return typeof ssm_cfg === "object" && ssm_cfg !== null && "layer" in ssm_cfg &&
    ssm_cfg.layer === "Mamba3";
}

/** A repository that is only a help: where it is missing, or private, it is as if it had no such file. */
async function ifThere(repository: HubFiles, file: string): Promise<ByteSource | undefined> {
  try {
    return await repository.open(file);
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    if (error instanceof HttpError && [401, 403, 404].includes(error.status ?? 0)) return undefined;
    throw error;
  }
}

/** What a file holds, as text and as a source of its own: the file is read once, and closed. */
async function readSmall(source: ByteSource): Promise<{ text: string; copy: ByteSource }> {
  try {
    const bytes = await source.read(0, source.sizeBytes);
    return { text: new TextDecoder().decode(bytes), copy: fromBytes(source.name, bytes) };
  } finally {
    source[Symbol.dispose]();
  }
}

/** The fields of a JSON object; none where the file is something else. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
