/** One block of Mamba-1, and the whole model of these, of FalconMamba or of Mamba-2, put together from the ops of this folder. */

import { columns } from "./columns.ts";
import { conv1dFwd } from "./conv1d.ts";
import { dtBCNormFwd } from "./dt_bc_norm.ts";
import { embeddingFwd } from "./embedding.ts";
import { convChannels, type HeadsConfig, mamba2MixerFwd } from "./mamba2.ts";
import { matmulFwd } from "./matmul.ts";
import { meanPool, type MeanPoolState } from "./mean_pool.ts";
import { rmsNormFwd } from "./rms_norm.ts";
import { selectiveScanFwd } from "./selective_scan.ts";

/** The fields of the model's config that its equations need. */
export interface MambaConfig {
  d_model: number;
  n_layer: number;
  d_inner: number;
  d_state: number;
  d_conv: number;
  /** Of Mamba-1. */
  dt_rank: number;
  /** FalconMamba has norms of dt, B and C. */
  mixer_rms_eps?: number | undefined;
  /** Mamba-2 has heads. */
  heads?: HeadsConfig | undefined;
  norm_epsilon: number;
  use_bias: boolean;
  use_conv_bias: boolean;
  input:
    | { kind: "embedding"; vocab_size: number }
    | { kind: "linear"; d_input: number; bias: boolean };
  head:
    | { kind: "lm"; vocab_size: number; tied: boolean }
    | { kind: "classifier"; n_classes: number; pool: "last" | "mean"; bias: boolean };
}

/** Tensors by official name; the table may be called `embedding` or `embeddings`. */
export type MambaWeights = Readonly<Record<string, ArrayLike<number>>>;

/** What one block carries from one step to the next. */
export interface BlockState {
  /** (batch, d_inner, d_conv), in Mamba-2 with B and C beside x */
  conv_state: Float64Array;
  /** (batch, d_inner, d_state), in Mamba-2 by heads */
  ssm_state: Float64Array;
}

/**
 * What the model carries: one entry a block, and the running mean of a classifier with pool "mean".
 */
export interface MambaState {
  layers: BlockState[];
  pool?: MeanPoolState;
}

/** What mambaModelFwd() returns. */
export interface MambaOutput {
  /** (batch, seqlen, vocab_size or n_classes), after every step. */
  logits: Float64Array;
  /** (batch, seqlen, d_model) before the first block. */
  embedded: Float64Array;
  /** (batch, seqlen, d_model) for each block: the residual stream after it. */
  layers: Float64Array[];
  /** (batch, seqlen, d_model): the output of norm_f. */
  norm_f: Float64Array;
  state: MambaState;
}

/** Number of sequences and of steps. */
export interface BatchShape {
  batch: number;
  seqlen: number;
}

/** The state before the first step: zeros. */
export function zeroMambaState(config: MambaConfig, batch: number): MambaState {
  const { d_inner, d_conv, d_state } = config;
  const channels = convChannels(config);
  return {
    layers: Array.from({ length: config.n_layer }, () => ({
      conv_state: new Float64Array(batch * channels * d_conv),
      ssm_state: new Float64Array(batch * d_inner * d_state),
    })),
  };
}

/**
 * One block: x + out_proj(scan(conv1d(in_proj(norm(x))))). Rows of in_proj are [x, z], of x_proj
 * [dt, B, C]. With heads, it is a block of Mamba-2.
 *
 * @param x (batch, seqlen, d_model): the residual stream
 * @param prefix Of the block's names, such as `backbone.layers.3.`
 * @returns y (batch, seqlen, d_model): the residual stream after the block
 */
export function mambaBlockFwd(
  weights: MambaWeights,
  prefix: string,
  config: MambaConfig,
  x: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: BlockState,
): { y: Float64Array; state: BlockState } {
  const { d_model, d_inner, d_state, d_conv, dt_rank, mixer_rms_eps, heads } = config;
  const eps = config.norm_epsilon;
  const rows = batch * seqlen;
  const own = (name: string) => tensor(weights, prefix + name);
  const bias = (name: string) => config.use_bias ? own(name) : undefined;

  const normed = rmsNormFwd(x, own("norm.weight"), { rows, d_model, eps });
  if (heads !== undefined) {
    const mixer = (name: string) => own(`mixer.${name}`);
    return mamba2MixerFwd(mixer, { ...config, heads }, normed, x, { batch, seqlen }, state);
  }
  const xz = matmulFwd(normed, own("mixer.in_proj.weight"), bias("mixer.in_proj.bias"), {
    rows,
    in: d_model,
    out: 2 * d_inner,
  });
  const conv = conv1dFwd(
    columns(xz, 2 * d_inner, 0, d_inner),
    own("mixer.conv1d.weight"),
    config.use_conv_bias ? own("mixer.conv1d.bias") : undefined,
    state.conv_state,
    { batch, seqlen, d_inner, d_conv },
  );
  const width = dt_rank + 2 * d_state;
  const x_dbl = matmulFwd(conv.y, own("mixer.x_proj.weight"), undefined, {
    rows,
    in: d_inner,
    out: width,
  });
  const dtBC = mixer_rms_eps === undefined
    ? x_dbl
    : dtBCNormFwd(x_dbl, { rows, dt_rank, d_state, eps: mixer_rms_eps }).x_dbl;
  const dt = matmulFwd(
    columns(dtBC, width, 0, dt_rank),
    own("mixer.dt_proj.weight"),
    own("mixer.dt_proj.bias"),
    { rows, in: dt_rank, out: d_inner },
  );
  const scan = selectiveScanFwd({
    u: conv.y,
    dt,
    A_log: own("mixer.A_log"),
    B: columns(dtBC, width, dt_rank, dt_rank + d_state),
    C: columns(dtBC, width, dt_rank + d_state, width),
    D: own("mixer.D"),
    z: columns(xz, 2 * d_inner, d_inner, 2 * d_inner),
    ssm_state: state.ssm_state,
  }, { batch, seqlen, d_inner, d_state });
  const y = matmulFwd(scan.y, own("mixer.out_proj.weight"), bias("mixer.out_proj.bias"), {
    rows,
    in: d_inner,
    out: d_model,
  }, x);
  return { y, state: { conv_state: conv.conv_state, ssm_state: scan.ssm_state } };
}

/**
 * The whole model: input, blocks, norm_f, head.
 *
 * @param inputs Ids (batch, seqlen) for an embedding, vectors (batch, seqlen, d_input) for a linear
 * input
 * @param state As an earlier call returned it; zeros when absent. It is left as it is.
 */
export function mambaModelFwd(
  weights: MambaWeights,
  config: MambaConfig,
  inputs: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: MambaState = zeroMambaState(config, batch),
): MambaOutput {
  const { d_model, input, head } = config;
  const rows = batch * seqlen;
  const embedded = input.kind === "embedding"
    ? embeddingFwd(inputs, embeddingTable(weights), { d_model })
    : matmulFwd(
      inputs,
      tensor(weights, "backbone.input_proj.weight"),
      input.bias ? tensor(weights, "backbone.input_proj.bias") : undefined,
      { rows, in: input.d_input, out: d_model },
    );
  const layers: Float64Array[] = [];
  const next: MambaState = { layers: [] };
  let x = embedded;
  for (const [i, layerState] of state.layers.entries()) {
    const prefix = `backbone.layers.${i}.`;
    const block = mambaBlockFwd(weights, prefix, config, x, { batch, seqlen }, layerState);
    x = block.y;
    layers.push(x);
    next.layers.push(block.state);
  }
  const norm_f = rmsNormFwd(x, tensor(weights, "backbone.norm_f.weight"), {
    rows,
    d_model,
    eps: config.norm_epsilon,
  });

  if (head.kind === "lm") {
    const weight = head.tied ? embeddingTable(weights) : tensor(weights, "lm_head.weight");
    const logits = matmulFwd(norm_f, weight, undefined, {
      rows,
      in: d_model,
      out: head.vocab_size,
    });
    return { logits, embedded, layers, norm_f, state: next };
  }
  let pooled = norm_f;
  if (head.pool === "mean") {
    const mean = meanPool(norm_f, { batch, seqlen, d_model }, state.pool);
    pooled = mean.y;
    next.pool = mean.state;
  }
  const logits = matmulFwd(
    pooled,
    tensor(weights, "classifier.weight"),
    head.bias ? tensor(weights, "classifier.bias") : undefined,
    { rows, in: d_model, out: head.n_classes },
  );
  return { logits, embedded, layers, norm_f, state: next };
}

function embeddingTable(weights: MambaWeights): ArrayLike<number> {
  return weights["backbone.embedding.weight"] ?? tensor(weights, "backbone.embeddings.weight");
}

function tensor(weights: MambaWeights, name: string): ArrayLike<number> {
  const found = weights[name];
  if (found === undefined) {
    throw new TypeError(
      `Cannot run the reference model: "${name}" is absent, found ${
        Object.keys(weights).join(", ")
      }`,
    );
  }
  return found;
}
