/** Backward of one Mamba-1 block and of the whole model, put together from the ops of this folder. */

import { at } from "./at.ts";
import { columns } from "./columns.ts";
import { conv1dFwd } from "./conv1d.ts";
import { conv1dBwd } from "./conv1d_bwd.ts";
import { embeddingBwd } from "./embedding_bwd.ts";
import {
  type BatchShape,
  type BlockState,
  type MambaConfig,
  mambaModelFwd,
  type MambaState,
  type MambaWeights,
  zeroMambaState,
} from "./mamba.ts";
import { matmulFwd } from "./matmul.ts";
import { matmulBwd } from "./matmul_bwd.ts";
import { meanPool } from "./mean_pool.ts";
import { meanPoolBwd } from "./mean_pool_bwd.ts";
import { rmsNormFwd } from "./rms_norm.ts";
import { rmsNormBwd } from "./rms_norm_bwd.ts";
import { selectiveScanFwd } from "./selective_scan.ts";
import { selectiveScanBwd } from "./selective_scan_bwd.ts";

/** Gradients of weights, by the weight's name and of its shape. */
export type MambaGradients = Record<string, Float64Array>;

/**
 * Backward of mambaBlockFwd(), recomputing what it needs.
 *
 * @param x (batch, seqlen, d_model): the residual stream before the block
 * @param state Before the first step
 * @param grad_y (batch, seqlen, d_model): of the residual stream after the block
 * @param grad_final_state Of the state after the last step; zeros when absent
 * @returns grad_x (batch, seqlen, d_model), the gradients of the block's weights, and grad_state, of
 * the state before the first step
 */
export function mambaBlockBwd(
  weights: MambaWeights,
  prefix: string,
  config: MambaConfig,
  x: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: BlockState,
  grad_y: ArrayLike<number>,
  grad_final_state?: BlockState,
): { grad_x: Float64Array; gradients: MambaGradients; grad_state: BlockState } {
  const { d_model, d_inner, d_state, d_conv, dt_rank, norm_epsilon: eps } = config;
  const rows = batch * seqlen;
  const width = dt_rank + 2 * d_state;
  const own = (name: string) => named(weights, prefix + name);
  const norm_shape = { rows, d_model, eps };
  const in_shape = { rows, in: d_model, out: 2 * d_inner };
  const conv_shape = { batch, seqlen, d_inner, d_conv };
  const x_proj_shape = { rows, in: d_inner, out: width };
  const dt_shape = { rows, in: dt_rank, out: d_inner };
  const scan_shape = { batch, seqlen, d_inner, d_state };
  const out_shape = { rows, in: d_inner, out: d_model };

  const normed = rmsNormFwd(x, own("norm.weight"), norm_shape);
  const in_bias = config.use_bias ? own("mixer.in_proj.bias") : undefined;
  const xz = matmulFwd(normed, own("mixer.in_proj.weight"), in_bias, in_shape);
  const conv_x = columns(xz, 2 * d_inner, 0, d_inner);
  const conv_bias = config.use_conv_bias ? own("mixer.conv1d.bias") : undefined;
  const conv_weight = own("mixer.conv1d.weight");
  const u = conv1dFwd(conv_x, conv_weight, conv_bias, state.conv_state, conv_shape).y;
  const dtBC = matmulFwd(u, own("mixer.x_proj.weight"), undefined, x_proj_shape);
  const dt_low = columns(dtBC, width, 0, dt_rank);
  const dt_weight = own("mixer.dt_proj.weight");
  const scan_inputs = {
    u,
    dt: matmulFwd(dt_low, dt_weight, own("mixer.dt_proj.bias"), dt_shape),
    A_log: own("mixer.A_log"),
    B: columns(dtBC, width, dt_rank, dt_rank + d_state),
    C: columns(dtBC, width, dt_rank + d_state, width),
    D: own("mixer.D"),
    z: columns(xz, 2 * d_inner, d_inner, 2 * d_inner),
    ssm_state: state.ssm_state,
  };
  const gated = selectiveScanFwd(scan_inputs, scan_shape).y;

  const out = matmulBwd(gated, own("mixer.out_proj.weight"), grad_y, out_shape);
  const scan = selectiveScanBwd(scan_inputs, out.grad_x, scan_shape, grad_final_state?.ssm_state);
  const dt = matmulBwd(dt_low, dt_weight, scan.grad_dt, dt_shape);
  const grad_dtBC = sideBySide(rows, [dt.grad_x, scan.grad_B, scan.grad_C]);
  const x_proj = matmulBwd(u, own("mixer.x_proj.weight"), grad_dtBC, x_proj_shape);
  const conv = conv1dBwd(
    conv_x,
    conv_weight,
    conv_bias,
    state.conv_state,
    sum(scan.grad_u, x_proj.grad_x),
    conv_shape,
    grad_final_state?.conv_state,
  );
  const grad_xz = sideBySide(rows, [conv.grad_x, scan.grad_z]);
  const in_proj = matmulBwd(normed, own("mixer.in_proj.weight"), grad_xz, in_shape);
  const norm = rmsNormBwd(x, own("norm.weight"), in_proj.grad_x, norm_shape);

  const gradients: MambaGradients = {
    [`${prefix}norm.weight`]: norm.grad_weight,
    [`${prefix}mixer.in_proj.weight`]: in_proj.grad_weight,
    [`${prefix}mixer.conv1d.weight`]: conv.grad_weight,
    [`${prefix}mixer.x_proj.weight`]: x_proj.grad_weight,
    [`${prefix}mixer.dt_proj.weight`]: dt.grad_weight,
    [`${prefix}mixer.dt_proj.bias`]: dt.grad_bias,
    [`${prefix}mixer.A_log`]: scan.grad_A_log,
    [`${prefix}mixer.D`]: scan.grad_D,
    [`${prefix}mixer.out_proj.weight`]: out.grad_weight,
  };
  if (config.use_bias) {
    gradients[`${prefix}mixer.in_proj.bias`] = in_proj.grad_bias;
    gradients[`${prefix}mixer.out_proj.bias`] = out.grad_bias;
  }
  if (config.use_conv_bias) gradients[`${prefix}mixer.conv1d.bias`] = conv.grad_bias;
  return {
    grad_x: sum(norm.grad_x, grad_y),
    gradients,
    grad_state: { conv_state: conv.grad_conv_state, ssm_state: scan.grad_ssm_state },
  };
}

/**
 * Backward of mambaModelFwd(), recomputing what it needs. A tied table has one gradient, the sum of
 * its two uses.
 *
 * @param inputs As for mambaModelFwd()
 * @param grad_logits (batch, seqlen, vocab_size or n_classes)
 * @param state Before the first step; zeros when absent
 * @param grad_final_state Of the state after the last step, one entry a block; zeros when absent
 * @returns gradients, by the names that `weights` has, and grad_state, of the state before the first
 * step, one entry a block
 */
export function mambaModelBwd(
  weights: MambaWeights,
  config: MambaConfig,
  inputs: ArrayLike<number>,
  grad_logits: ArrayLike<number>,
  { batch, seqlen }: BatchShape,
  state: MambaState = zeroMambaState(config, batch),
  grad_final_state?: readonly BlockState[],
): { gradients: MambaGradients; grad_state: BlockState[] } {
  const { d_model, input, head, norm_epsilon: eps } = config;
  const rows = batch * seqlen;
  const forward = mambaModelFwd(weights, config, inputs, { batch, seqlen }, state);
  const table = ["backbone.embedding.weight", "backbone.embeddings.weight"]
    .find((name) => name in weights) ?? "backbone.embedding.weight";
  const gradients: MambaGradients = {};

  let grad_norm_f: Float64Array;
  if (head.kind === "lm") {
    const name = head.tied ? table : "lm_head.weight";
    const shape = { rows, in: d_model, out: head.vocab_size };
    const logits = matmulBwd(forward.norm_f, named(weights, name), grad_logits, shape);
    gradients[name] = logits.grad_weight;
    grad_norm_f = logits.grad_x;
  } else {
    const shape = { batch, seqlen, d_model };
    const pooled = head.pool === "mean"
      ? meanPool(forward.norm_f, shape, state.pool).y
      : forward.norm_f;
    const weight = named(weights, "classifier.weight");
    const logits = matmulBwd(pooled, weight, grad_logits, {
      rows,
      in: d_model,
      out: head.n_classes,
    });
    gradients["classifier.weight"] = logits.grad_weight;
    if (head.bias) gradients["classifier.bias"] = logits.grad_bias;
    grad_norm_f = head.pool === "mean"
      ? meanPoolBwd(logits.grad_x, shape, state.pool?.count).grad_x
      : logits.grad_x;
  }

  // The residual stream before each block, and after the last.
  const stream = [forward.embedded, ...forward.layers];
  const norm_f = rmsNormBwd(
    stream[config.n_layer] ?? [],
    named(weights, "backbone.norm_f.weight"),
    grad_norm_f,
    { rows, d_model, eps },
  );
  gradients["backbone.norm_f.weight"] = norm_f.grad_weight;
  let grad = norm_f.grad_x;
  const grad_state: BlockState[] = [];
  for (const [i, layerState] of [...state.layers.entries()].reverse()) {
    const block = mambaBlockBwd(
      weights,
      `backbone.layers.${i}.`,
      config,
      stream[i] ?? [],
      { batch, seqlen },
      layerState,
      grad,
      grad_final_state?.[i],
    );
    Object.assign(gradients, block.gradients);
    grad = block.grad_x;
    grad_state.unshift(block.grad_state);
  }

  if (input.kind === "embedding") {
    const { vocab_size } = input;
    const looked = embeddingBwd(inputs, grad, { vocab_size, d_model });
    const tied = gradients[table];
    gradients[table] = tied === undefined ? looked : sum(tied, looked);
  } else {
    const weight = named(weights, "backbone.input_proj.weight");
    const shape = { rows, in: input.d_input, out: d_model };
    const { grad_weight, grad_bias } = matmulBwd(inputs, weight, grad, shape);
    gradients["backbone.input_proj.weight"] = grad_weight;
    if (input.bias) gradients["backbone.input_proj.bias"] = grad_bias;
  }
  return { gradients, grad_state };
}

/** Matrices of `rows` rows as one, side by side. */
function sideBySide(rows: number, parts: readonly Float64Array[]): Float64Array {
  const joined: number[] = [];
  for (let i = 0; i < rows; i++) {
    for (const part of parts) {
      const width = part.length / rows;
      joined.push(...part.subarray(i * width, (i + 1) * width));
    }
  }
  return Float64Array.from(joined);
}

function sum(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => at(a, i) + at(b, i));
}

function named(weights: MambaWeights, name: string): ArrayLike<number> {
  const found = weights[name];
  if (found === undefined) {
    throw new TypeError(`Cannot run the reference backward: weights have no "${name}"`);
  }
  return found;
}
