/**
 * The named cases that every kernel is compared with its oracle on: a published model's shape, a
 * shape of odd sizes, and the edges of sequence length, batch and initial state.
 */

import type { MambaConfig } from "./reference/mamba.ts";

/** Sizes of one published or invented model. */
export interface ModelShape {
  readonly vocab_size: number;
  readonly d_model: number;
  readonly d_inner: number;
  readonly d_state: number;
  readonly d_conv: number;
  readonly dt_rank: number;
}

/** state-spaces/mamba-130m, but for the vocabulary, which a software GPU is too slow for. */
export const MAMBA_130M: ModelShape = {
  vocab_size: 3000,
  d_model: 768,
  d_inner: 1536,
  d_state: 16,
  d_conv: 4,
  dt_rank: 48,
};

/** Sizes that no workgroup, vector or power of two divides. */
export const ODD: ModelShape = {
  vocab_size: 101,
  d_model: 52,
  d_inner: 156,
  d_state: 12,
  d_conv: 3,
  dt_rank: 5,
};

/** The smallest of everything: one state, one channel, a window of the current token alone. */
export const ONES: ModelShape = {
  vocab_size: 2,
  d_model: 1,
  d_inner: 1,
  d_state: 1,
  d_conv: 1,
  dt_rank: 1,
};

/** One case of an op along the sequence: the embedding, a norm, conv1d, the scan, a block. */
export interface SequenceCase {
  readonly name: string;
  readonly shape: ModelShape;
  readonly batch: number;
  readonly seqlen: number;
  /** Whether the state passed in is random, not zeros. */
  readonly initialState: boolean;
  /** Whether the op's optional biases are there. */
  readonly bias: boolean;
  readonly seed: number;
}

function sequence(
  name: string,
  shape: ModelShape,
  batch: number,
  seqlen: number,
  { initialState = false, bias = true } = {},
): SequenceCase {
  // A seed of its own for each case, from what it is called.
  const seed = [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 7);
  return { name, shape, batch, seqlen, initialState, bias, seed };
}

/**
 * Sequence lengths around the window and around 16 and 64, which tile time and rows in the kernels.
 */
export const EDGE_SEQLENS: readonly number[] = [1, 2, 15, 16, 17, 63, 64, 65];

/** Cases for ops along the sequence. */
export const SEQUENCE_CASES: readonly SequenceCase[] = [
  sequence("mamba-130m, one step", MAMBA_130M, 1, 1, { initialState: true }),
  sequence("mamba-130m, first step", MAMBA_130M, 1, 1),
  sequence("mamba-130m, 17 steps, batch 2", MAMBA_130M, 2, 17, { initialState: true }),
  ...EDGE_SEQLENS.map((seqlen) =>
    sequence(`odd sizes, seqlen ${seqlen}`, ODD, 1, seqlen, { initialState: true })
  ),
  sequence("odd sizes, seqlen d_conv - 1, zero state", ODD, 1, ODD.d_conv - 1),
  sequence("odd sizes, seqlen d_conv, zero state", ODD, 1, ODD.d_conv),
  sequence("odd sizes, batch 2, seqlen 17", ODD, 2, 17, { initialState: true }),
  sequence("odd sizes, batch 3, one step", ODD, 3, 1, { initialState: true }),
  sequence("odd sizes, batch 3, seqlen 65, zero state", ODD, 3, 65),
  sequence("odd sizes, no bias, batch 2", ODD, 2, 5, { initialState: true, bias: false }),
  sequence("all sizes 1", ONES, 1, 1, { initialState: true }),
  sequence("all sizes 1, batch 2, seqlen 3", ONES, 2, 3),
];

/** One case of a matmul. */
export interface MatmulCase {
  readonly name: string;
  readonly rows: number;
  readonly in: number;
  readonly out: number;
  readonly bias: boolean;
  readonly residual: boolean;
  readonly seed: number;
}

function matmul(
  name: string,
  [rows, inFeatures, out]: readonly [number, number, number],
  { bias = false, residual = false } = {},
): MatmulCase {
  const seed = [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) >>> 0, 11);
  return { name, rows, in: inFeatures, out, bias, residual, seed };
}

/** Cases for matmul; those with rows 1 are the matvec's too. */
export const MATMUL_CASES: readonly MatmulCase[] = [
  matmul("mamba-130m in_proj, one step", [1, 768, 3072]),
  matmul("mamba-130m x_proj, one step", [1, 1536, 80]),
  matmul("mamba-130m dt_proj, one step", [1, 48, 1536], { bias: true }),
  matmul("mamba-130m out_proj, one step", [1, 1536, 768], { residual: true }),
  matmul("mamba-130m head, one step", [1, 768, 3000]),
  matmul("mamba-130m x_proj, 17 rows", [17, 1536, 80]),
  matmul("mamba-130m out_proj, 17 rows", [17, 1536, 768], { residual: true }),
  matmul("odd in_proj, one step", [1, 52, 312], { bias: true }),
  matmul("odd x_proj, one step", [1, 156, 29]),
  matmul("odd dt_proj, one step", [1, 5, 156], { bias: true }),
  matmul("odd out_proj, one step", [1, 156, 52], { bias: true, residual: true }),
  matmul("odd head, one step", [1, 52, 101]),
  ...[2, 3, 15, 16, 17, 63, 64, 65].map((rows) =>
    matmul(`odd out_proj, ${rows} rows`, [rows, 156, 52], { bias: true, residual: true })
  ),
  matmul("odd in_proj, 65 rows", [65, 52, 312], { bias: true }),
  matmul("odd dt_proj, 17 rows", [17, 5, 156], { bias: true }),
  matmul("whole tiles", [64, 64, 64]),
  matmul("one past whole tiles", [65, 65, 65], { bias: true, residual: true }),
  matmul("one feature in", [3, 1, 7], { bias: true }),
  matmul("one feature out", [3, 7, 1], { bias: true }),
  matmul("all sizes 1", [1, 1, 1], { bias: true, residual: true }),
];

/** A whole model of few elements: that of `shape`, with two layers. */
export function smallModel(
  shape: ModelShape,
  variant: Partial<MambaConfig> = {},
): MambaConfig {
  const { vocab_size, ...sizes } = shape;
  return {
    ...sizes,
    n_layer: 2,
    norm_epsilon: 1e-5,
    use_bias: false,
    use_conv_bias: true,
    input: { kind: "embedding", vocab_size },
    head: { kind: "lm", vocab_size, tied: true },
    ...variant,
  };
}

/** Whole models, each with another input, head or set of biases. */
export const MODEL_CASES: readonly { readonly name: string; readonly config: MambaConfig }[] = [
  {
    name: "tied language model",
    config: smallModel({ ...ODD, d_model: 64, d_inner: 128, d_state: 16, d_conv: 4, dt_rank: 4 }),
  },
  {
    name: "odd sizes, biases, untied head",
    config: smallModel(ODD, {
      use_bias: true,
      head: { kind: "lm", vocab_size: ODD.vocab_size, tied: false },
    }),
  },
  {
    name: "no convolution bias",
    config: smallModel(ODD, { use_conv_bias: false }),
  },
  {
    name: "linear input, classifier on the last step",
    config: smallModel(ODD, {
      input: { kind: "linear", d_input: 3, bias: true },
      head: { kind: "classifier", n_classes: 5, pool: "last", bias: true },
    }),
  },
  {
    name: "linear input, classifier on the running mean",
    config: smallModel(ODD, {
      input: { kind: "linear", d_input: 1, bias: false },
      head: { kind: "classifier", n_classes: 10, pool: "mean", bias: false },
    }),
  },
];
