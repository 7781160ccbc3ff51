/** loadModel: from a folder, a URL or a hub to a model on a device. */

import { type Checkpoint, openCheckpoint } from "../io/checkpoint.ts";
import type { DownloadProgress } from "../io/hub/client.ts";
import { stateDictPrefix } from "../io/state_dict.ts";
import { loadTokenizer, type Tokenizer } from "../io/tokenizer/tokenizer.ts";
import { type BackendChoice, chooseBackend } from "../model/choose_backend.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { parseQuantization } from "../model/config/quantization.ts";
import type { Backend, WeightSink } from "../model/executor.ts";
import { LOAD_CHOICES, type LoadChoice } from "../model/mixers/mixer.ts";
import { mixerOf } from "../model/mixers/mixers.ts";
import type { S4Mode } from "../model/mixers/s4_fields.ts";
import { STEP_CHOICES, type StepChoice } from "../model/step_choice.ts";
import { planLoad, type WeightDType } from "../model/weights/load_plan.ts";
import { type LoadProgress, loadWeights } from "./load_weights.ts";
import { createModel, type Model } from "./model.ts";
import { readConfigAndHead } from "./read_config.ts";
import { toHex } from "../runtime/bytes.ts";
import { sha256 } from "./tensor_pieces.ts";

/** Options of {@linkcode loadModel}. */
export interface LoadOptions {
  /**
   * What runs the model: "auto" takes WebGPU where there is a real GPU, and the CPU elsewhere.
   *
   * @default {"auto"}
   */
  readonly backend?: Backend | "auto" | undefined;
  /**
   * How the matrices are kept on the device: as stored, or converted. int8 and int4 take 8.5 and 4.5 bits a weight, and
   * round it to one of 255 or 16 values by group of 32. Arithmetic is f32 always.
   *
   * @default {"auto"}
   */
  readonly dtype?: WeightDType | undefined;
  /**
   * How single steps run on WebGPU: as a "list" of dispatches, "fused" into one dispatch for whole steps, or "auto", which
   * tries both on the device and takes the quicker one. No bit depends on it. Sessions that run at the same time share the
   * list's work whatever was chosen. Trying takes seconds where a device compiles the kernel for the first time.
   *
   * @default {"auto"}
   */
  readonly step?: StepChoice | undefined;
  /**
   * How sequences go through a model of S4D or S4: by convolution ("conv"), or step by step ("recurrent").
   *
   * @default {as its config.json says}
   */
  readonly mode?: S4Mode | undefined;
  /** Stops loading, with the signal's reason, and frees what was loaded. */
  readonly signal?: AbortSignal | undefined;
  /** Is told after every piece how far downloading from a hub, and then loading, has come. */
  readonly onProgress?: ((progress: DownloadProgress | LoadProgress) => void) | undefined;
  /** A device of yours to use; it is not destroyed with the model. It makes "auto" take WebGPU. */
  readonly device?: GPUDevice | undefined;
  /**
   * Threads that work on the CPU, this one among them, and that quantize weights, for a GPU too. Results do not depend
   * on it.
   *
   * @default {as many as help}
   */
  readonly threads?: number | undefined;
  /**
   * How A of Mamba-3 is made, whatever config.json says: the published ones do not.
   *
   * @default {the config's, which is "heavy_tail" where it says nothing}
   */
  readonly A_activation?: "heavy_tail" | "softplus" | undefined;
  /**
   * Text of a `tokenizer.json` to use, whatever is beside the weights.
   *
   * @default {the checkpoint's own}
   */
  readonly tokenizer?: string | undefined;
  /**
   * What downloads.
   *
   * @default {fetch}
   */
  readonly fetch?: typeof fetch | undefined;
}

/**
 * Loads a checkpoint onto a GPU or into the CPU's memory, reading one piece of one tensor at a time.
 *
 * Peak host memory is a few pieces of 16 MiB, not the checkpoint.
 *
 * @param source A folder with config.json and weights, a weights file in such a folder, the http(s) URL of either, or
 * a hub's "owner/name" or "owner/name@revision" where there is no folder of that name. What comes from a hub is kept in
 * the cache that the Python library uses, too.
 * @param options See {@linkcode LoadOptions}.
 * @returns The model; it holds the device's memory until disposed with `using`.
 * @throws {SyntaxError} If a file is malformed (`SafetensorsError`, `PyTorchFileError`, `ConfigError`).
 * @throws {TypeError} If config.json and the weights do not fit each other.
 * @throws {HttpError} If a server refuses, or a hub gives something wrong again and again.
 * @throws {RangeError} If the model does not fit on the device; that shows before its weights are read.
 * @throws {UnsupportedDeviceError} If WebGPU is asked for and there is no GPU adapter.
 *
 * @example Streaming tokens
 * ```ts
 * import { loadModel } from "./load_model.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * for await (const { id, logprob } of model.generate("Hey", { maxTokens: 3 })) {
 *   console.log(id, logprob);
 * }
 * ```
 */
export async function loadModel(source: string | URL, options: LoadOptions = {}): Promise<Model> {
  const { backend = "auto", dtype = "auto", signal, onProgress } = options;
  requireOneOf("backend", backend, ["auto", "webgpu", "cpu"]);
  const { threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(
      `Cannot load the model: threads is ${threads}, and it must be a whole number from 1`,
    );
  }
  requireOneOf("dtype", dtype, ["auto", "f32", "f16", "bf16", "int8", "int4"]);
  requireOneOf("step", options.step ?? "auto", STEP_CHOICES);
  signal?.throwIfAborted();
  const checkpoint = await openCheckpoint(source, {
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onDownload: onProgress }),
  });
  try {
    return await loadCheckpoint(checkpoint, options);
  } finally {
    checkpoint[Symbol.dispose]();
  }
}

async function loadCheckpoint(checkpoint: Checkpoint, options: LoadOptions): Promise<Model> {
  const { dtype = "auto", signal, onProgress, threads } = options;
  const { config: stored, tokenizer } = await describeCheckpoint(checkpoint, options);
  const { mode, A_activation } = options;
  const config = withChoices(stored, { mode, A_activation });
  const { tensors } = checkpoint;
  const plan = planLoad(config, tensors, {
    dtype,
    prefix: stateDictPrefix(tensors),
    quantized: parseQuantization(checkpoint.config, checkpoint.configName),
  });
  const configHash = await hashOf(config);
  const choice = await choose(options);
  const sink = await openSink(choice.backend, options);
  try {
    const weightsHash = await loadWeights(sink, plan, tensors, { signal, onProgress, threads });
    const executor = await sink.finish();
    const parts = { executor, tokenizer, configHash, weightsHash };
    // That there is a GPU need not be said: it is named.
    return createModel(parts, choice.backend === "cpu" ? choice.reason : undefined);
  } finally {
    sink[Symbol.dispose]();
  }
}

/**
 * The config with what was chosen for it when it is loaded: a mixer says what it leaves to choose, and between what.
 *
 * @throws {TypeError} If the model has no such choice, or not that value of it.
 */
function withChoices(
  config: ModelConfig,
  chosen: Readonly<Record<LoadChoice, string | undefined>>,
): ModelConfig {
  const { title, choices } = mixerOf(config);
  const made: Partial<Record<LoadChoice, string>> = {};
  for (const name of LOAD_CHOICES) {
    const value = chosen[name];
    if (value === undefined) continue;
    const values = choices?.[name];
    if (values === undefined) {
      throw new TypeError(
        `Cannot load the model: ${name} is "${value}", and a model of ${title} leaves no such choice`,
      );
    }
    requireOneOf(name, value, values);
    made[name] = value;
  }
  return { ...config, ...made };
}

async function choose(
  { backend = "auto", device }: LoadOptions,
): Promise<Pick<BackendChoice, "backend"> & Partial<BackendChoice>> {
  if (backend !== "auto") return { backend };
  return device === undefined ? await chooseBackend() : { backend: "webgpu" };
}

/** Here alone something above the executors names them, and only the one that runs the model is loaded with it. */
async function openSink(
  backend: Backend,
  { device, threads, step }: LoadOptions,
): Promise<WeightSink> {
  switch (backend) {
    case "webgpu": {
      const { openWeightSink } = await import("../webgpu/weight_sink.ts");
      return await openWeightSink(device, step);
    }
    case "cpu": {
      const { openWeightSink } = await import("../cpu/weight_sink.ts");
      return await openWeightSink(threads === undefined ? {} : { threads });
    }
  }
}

/**
 * The config and the tokenizer of a checkpoint, each with what only the other files know: the weights may say whether
 * the head is tied, and the tokenizer how many rows of the vocabulary are real.
 */
export async function describeCheckpoint(
  checkpoint: Checkpoint,
  { signal, tokenizer: given }: Pick<LoadOptions, "signal" | "tokenizer"> = {},
): Promise<{ config: ModelConfig; tokenizer: Tokenizer | undefined }> {
  const config = await readConfigAndHead(checkpoint, signal);
  const json = config.input.kind === "embedding"
    ? given ?? await checkpoint.readText("tokenizer.json")
    : undefined;
  if (json === undefined) return { config, tokenizer: undefined };
  const tokenizer = loadTokenizer(json, "tokenizer.json");
  if (config.head.kind === "lm" && tokenizer.vocabSize > config.head.vocab_size) {
    throw new TypeError(
      `Cannot load tokenizer.json: it has ${tokenizer.vocabSize} ids, and the model has ${config.head.vocab_size}`,
    );
  }
  const real_vocab_size = Math.min(config.real_vocab_size, tokenizer.vocabSize);
  return { config: { ...config, real_vocab_size }, tokenizer };
}

/** Of all that must agree for a state to make sense: everything but names, preprocessing and how sequences are computed. */
async function hashOf(config: ModelConfig): Promise<string> {
  const { labels: _labels, preprocessing: _preprocessing, eos_token_ids: _eos, ...sizes } = config;
  const text = JSON.stringify(
    sizes,
    Object.keys(sizes).filter((name) => name !== "mode").sort().concat([
      "kind",
      "vocab_size",
      "tied",
      "d_input",
      "bias",
      "n_classes",
      "pool",
    ]),
  );
  return toHex(await sha256(new TextEncoder().encode(text)));
}

function requireOneOf(option: string, value: string, accepted: readonly string[]): void {
  if (!accepted.includes(value)) {
    throw new TypeError(
      `Cannot load the model: ${option} is "${value}", and this version takes ${
        accepted.join(", ")
      }`,
    );
  }
}
