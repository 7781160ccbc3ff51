/**
 * Reads the folders of tests/golden, by means of its own, so that a fault of the loader cannot hide
 * in what it is compared with. tools/make_golden.py says what is in them.
 */

import type { MambaConfig } from "./reference/mamba.ts";

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
];

/**
 * Language models in the raw layout, and one in shards: the same values as the folder they are
 * named for.
 */
export const GOLDEN_OTHER_LAYOUTS: readonly string[] = [
  "mamba1-raw",
  "mamba1-odd-raw",
  "mamba1-sharded",
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

/** What the reference model needs of a config.json in the Hugging Face form. */
export function readGoldenConfig(folder: string): MambaConfig {
  const config = readGoldenJson<{
    vocab_size: number;
    hidden_size: number;
    num_hidden_layers: number;
    intermediate_size: number;
    state_size: number;
    conv_kernel: number;
    time_step_rank: number;
    layer_norm_epsilon: number;
    use_bias: boolean;
    use_conv_bias: boolean;
    tie_word_embeddings: boolean;
    input?: MambaConfig["input"];
    head?: MambaConfig["head"];
  }>(folder, "config.json");
  const { vocab_size, tie_word_embeddings: tied } = config;
  return {
    d_model: config.hidden_size,
    n_layer: config.num_hidden_layers,
    d_inner: config.intermediate_size,
    d_state: config.state_size,
    d_conv: config.conv_kernel,
    dt_rank: config.time_step_rank,
    norm_epsilon: config.layer_norm_epsilon,
    use_bias: config.use_bias,
    use_conv_bias: config.use_conv_bias,
    input: config.input ?? { kind: "embedding", vocab_size },
    head: config.head ?? { kind: "lm", vocab_size, tied },
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
