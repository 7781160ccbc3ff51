/**
 * Reads the folders of tests/golden, by means of its own, so that a fault of the loader cannot hide
 * in what it is compared with. tools/make_golden.py says what is in them.
 */

import type { MambaConfig } from "../src/checks/reference/mamba.ts";

/** A tensor widened to f32, with its shape. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Folders whose weights are safetensors in one file. The language models come first. */
export const GOLDEN_LANGUAGE_MODELS: readonly string[] = [
  "mamba1",
  "mamba1-f16",
  "mamba1-bf16",
  "mamba1-odd",
  "mamba1-odd-f16",
  "mamba1-odd-bf16",
  "falcon-mamba",
  "mamba2",
  "mamba2-groups",
  "mamba2-options",
  "mamba2-no-norm",
];

/**
 * Language models in other files: the raw layout's pytorch_model.bin, shards, and Codestral Mamba's
 * consolidated file.
 */
export const GOLDEN_OTHER_LAYOUTS: readonly string[] = [
  "mamba1-raw",
  "mamba1-odd-raw",
  "mamba1-sharded",
  "mamba2-raw",
  "codestral",
];

/** Classifiers of vectors: one with the running mean, one with the last step. */
export const GOLDEN_CLASSIFIERS: readonly string[] = ["classifier", "classifier-last"];

/** Path of a file under tests/golden. */
export function goldenPath(...parts: string[]): string {
  return [import.meta.dirname, "golden", ...parts].join("/");
}

/** The value in a JSON file under tests/golden, taken to be a T. */
export function readGoldenJson<T>(...parts: string[]): T {
  return JSON.parse(Deno.readTextFileSync(goldenPath(...parts)));
}

/** All tensors of a safetensors file of F32, F16 or BF16. */
export function readGoldenTensors(...parts: string[]): Record<string, GoldenTensor> {
  const bytes = Deno.readFileSync(goldenPath(...parts));
  const headerSize = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerSize)));
  delete header.__metadata__;
  return Object.fromEntries(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [start, end] }]) => {
      const own = bytes.slice(8 + headerSize + start, 8 + headerSize + end).buffer;
      return [name, { shape, data: widen(dtype, own) }];
    }),
  );
}

/** The values of tensors without their shapes, as the reference model takes them. */
export function tensorData(
  tensors: Record<string, GoldenTensor>,
): Record<string, Float32Array<ArrayBuffer>> {
  return Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]));
}

/** What the reference model needs of a config.json, in the Hugging Face form or the raw form of Mamba-2. */
export function readGoldenConfig(folder: string): MambaConfig {
  const json = readGoldenJson<RawMamba2 | HuggingFace>(folder, "config.json");
  return "ssm_cfg" in json ? fromRaw(json) : fromHuggingFace(json);
}

interface HuggingFace {
  vocab_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  expand: number;
  intermediate_size?: number;
  state_size: number;
  conv_kernel: number;
  time_step_rank: number;
  mixer_rms_eps?: number;
  num_heads?: number;
  head_dim: number;
  n_groups: number;
  time_step_limit: [number, unknown];
  layer_norm_epsilon: number;
  use_bias: boolean;
  use_conv_bias: boolean;
  tie_word_embeddings: boolean;
  input?: MambaConfig["input"];
  head?: MambaConfig["head"];
}

function fromHuggingFace(config: HuggingFace): MambaConfig {
  const { vocab_size, tie_word_embeddings: tied, num_heads: nheads } = config;
  const heads = nheads === undefined ? undefined : {
    nheads,
    headdim: config.head_dim,
    ngroups: config.n_groups,
    dt_limit: limits(config.time_step_limit),
    rmsnorm: true,
    norm_before_gate: false,
  };
  return {
    d_model: config.hidden_size,
    n_layer: config.num_hidden_layers,
    d_inner: config.intermediate_size ?? config.expand * config.hidden_size,
    d_state: config.state_size,
    d_conv: config.conv_kernel,
    dt_rank: config.time_step_rank,
    mixer_rms_eps: config.mixer_rms_eps,
    heads,
    norm_epsilon: config.layer_norm_epsilon,
    use_bias: config.use_bias,
    use_conv_bias: config.use_conv_bias,
    input: config.input ?? { kind: "embedding", vocab_size },
    head: config.head ?? { kind: "lm", vocab_size, tied },
  };
}

/** transformers writes infinity as an object. */
function limits([low, high]: [number, unknown]): [number, number] {
  return [low, typeof high === "number" ? high : Infinity];
}

interface RawMamba2 {
  d_model: number;
  n_layer: number;
  vocab_size: number;
  tie_embeddings: boolean;
  ssm_cfg: {
    d_state: number;
    headdim: number;
    ngroups?: number;
    d_conv?: number;
    bias?: boolean;
    conv_bias?: boolean;
    rmsnorm?: boolean;
    norm_before_gate?: boolean;
  };
}

function fromRaw(
  { d_model, n_layer, vocab_size, tie_embeddings, ssm_cfg }: RawMamba2,
): MambaConfig {
  const { d_state, headdim, ngroups = 1, d_conv = 4, bias = false, conv_bias = true } = ssm_cfg;
  const { rmsnorm = true, norm_before_gate = false } = ssm_cfg;
  const d_inner = 2 * d_model;
  const nheads = d_inner / headdim;
  return {
    ...{ d_model, n_layer, d_inner, d_state, d_conv, dt_rank: 0, norm_epsilon: 1e-5 },
    heads: { nheads, headdim, ngroups, dt_limit: [0, Infinity], rmsnorm, norm_before_gate },
    use_bias: bias,
    use_conv_bias: conv_bias,
    input: { kind: "embedding", vocab_size },
    head: { kind: "lm", vocab_size, tied: tie_embeddings },
  };
}

function widen(dtype: string, bytes: ArrayBuffer): Float32Array<ArrayBuffer> {
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes);
    case "F16":
      return Float32Array.from(new Float16Array(bytes));
    case "BF16": // the upper half of an f32
      return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (v) => v << 16).buffer);
  }
  throw new TypeError(`Cannot read a golden tensor: dtype is ${dtype}, expected F32, F16 or BF16`);
}
