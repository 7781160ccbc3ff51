/** A model on a hub, as a folder: its own files, and those that published models keep elsewhere. */

import { HttpError } from "../http/requests.ts";
import type { HubOptions } from "./client.ts";
import type { HubId } from "./id.ts";
import { HubRepository } from "./repository.ts";
import type { HubSettings } from "./settings.ts";
import { loadTokenizer } from "../tokenizer/tokenizer.ts";

/**
 * The raw Mamba-1 repositories have safetensors in a pull request that nobody merged, and in their main branch what
 * PyTorch writes. It is the first request but for one.
 */
const SAFETENSORS_REVISION = "refs/pr/1";
const SAFETENSORS_REVISIONS = new Map([["state-spaces/mamba-2.8b", "refs/pr/4"]]);

/** The raw repositories have no tokenizer: this one's made their ids. */
const TOKENIZER_REPOSITORY = "EleutherAI/gpt-neox-20b";

/** Files of a model, downloaded when they are asked for. */
export class HubModel {
  /** What messages call it. */
  readonly name: string;
  readonly #main: HubRepository;
  readonly #tokenizers: HubRepository;
  /** Where weights are looked for that the model itself lacks; undefined where nowhere. */
  readonly #elsewhere: HubRepository | undefined;
  /** Where weights were found. */
  #weights: HubRepository;
  #config: Promise<Record<string, unknown>> | undefined;

  /** Names what may be needed; nothing is asked yet. */
  constructor({ repository, revision }: HubId, settings: HubSettings, options: HubOptions) {
    const open = (name: string, at: string) => new HubRepository(name, at, settings, options);
    this.name = `${repository}@${revision ?? "main"}${settings.offline ? " (offline)" : ""}`;
    this.#weights = this.#main = open(repository, revision ?? "main");
    // Who names a revision wants that one and no other.
    this.#elsewhere = revision === undefined
      ? open(repository, SAFETENSORS_REVISIONS.get(repository) ?? SAFETENSORS_REVISION)
      : undefined;
    this.#tokenizers = open(TOKENIZER_REPOSITORY, "main");
  }

  /**
   * The local path of a file, after a download if need be.
   *
   * @param file A plain name, such as "config.json".
   * @returns The path, or undefined if the model has no such file.
   */
  async path(file: string): Promise<string | undefined> {
    // The config comes first, whatever is asked for first: it says what kind of repository this is.
    const isRaw = isRawConfig(await this.#readConfig());
    const isWeights = /\.(safetensors|bin|pth|pt)(\.index\.json)?$/.test(file);
    let path = await (isWeights ? this.#weights : this.#main).fetch(file);
    if (path === undefined && isRaw && /\.safetensors(\.index\.json)?$/.test(file)) {
      path = await this.#fetchElsewhere(file);
    }
    if (path === undefined && isRaw && file === "tokenizer.json") {
      path = await this.#fetchTokenizer();
    }
    if (path !== undefined && file.endsWith(".index.json")) await this.#fetchShards(path);
    return path;
  }

  async #fetchElsewhere(file: string): Promise<string | undefined> {
    const path = this.#elsewhere === undefined ? undefined : await ifThere(this.#elsewhere, file);
    if (path !== undefined) this.#weights = this.#elsewhere ?? this.#weights;
    return path;
  }

  /** Undefined where it has more ids than the model: then others made the model's. */
  async #fetchTokenizer(): Promise<string | undefined> {
    const path = await ifThere(this.#tokenizers, "tokenizer.json");
    if (path === undefined) return undefined;
    const { vocabSize } = loadTokenizer(await Deno.readTextFile(path), path);
    const { vocab_size, pad_vocab_size_multiple: multiple = 8 } = await this.#readConfig();
    const rows = Math.ceil(Number(vocab_size) / Number(multiple)) * Number(multiple);
    return vocabSize <= rows ? path : undefined;
  }

  /** All at once, so that progress knows the sum. Whether the index makes sense is its reader's concern. */
  async #fetchShards(indexPath: string): Promise<void> {
    const { weight_map } = await readObject(indexPath);
    const files = typeof weight_map === "object" ? Object.values(weight_map ?? {}) : [];
    const isPlain = (file: unknown) => typeof file === "string" && /^\w[\w.+=-]*$/.test(file);
    await this.#weights.fetchAll([...new Set(files)].filter(isPlain));
  }

  #readConfig(): Promise<Record<string, unknown>> {
    this.#config ??= this.#main.fetch("config.json").then((path) =>
      path === undefined ? {} : readObject(path)
    );
    return this.#config;
  }
}

/** The dialect of state-spaces: see src/model/config.ts, which reads both. */
function isRawConfig(config: Record<string, unknown>): boolean {
  return "d_model" in config && !("model_type" in config);
}

/** A repository that is only a help: where it is missing, or private, it is as if it had no such file. */
async function ifThere(repository: HubRepository, file: string): Promise<string | undefined> {
  try {
    return await repository.fetch(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof HttpError && [401, 403, 404].includes(error.status ?? 0)) return undefined;
    throw error;
  }
}

/** The fields of a JSON object; none where the file is something else. */
async function readObject(path: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
