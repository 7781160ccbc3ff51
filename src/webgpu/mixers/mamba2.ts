/** The Mamba-2 mixer on WebGPU: its weights, and one block's forward as a list of ops. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { conv1dFwd } from "../../ops/conv1d.ts";
import { gatedRmsNormFwd } from "../../ops/gated_rms_norm.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../../ops/linear.ts";
import type { Matrix } from "../../ops/matrix.ts";
import { rmsNormFwd } from "../../ops/rms_norm.ts";
import { ssdFwd } from "../../ops/ssd.ts";
import { SSD_CHUNK, ssdWidths } from "../../model/ssd_sizes.ts";
import { ssdStep } from "../../ops/ssd_step.ts";
import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import type { WeightLookup } from "../weights.ts";
import { type Mamba2Gradients, mamba2Training } from "./mamba2_bwd.ts";
import type { ActivationSize, HalfShape, HalfTensors, WebGpuPart } from "./part.ts";

/** Weights of one mixer, by their official names. d_in_proj and conv_dim are those of {@linkcode ssdWidths}. */
export interface Mamba2Weights {
  /** (d_in_proj, d_model), rows [z, x, B, C, dt]. */
  readonly in_proj: Matrix;
  readonly in_proj_bias: Tensor | undefined;
  /** (conv_dim, d_conv), channels [x, B, C]; the last tap is for the current step. */
  readonly conv1d: Tensor;
  readonly conv1d_bias: Tensor | undefined;
  /** (nheads); A = -exp(A_log). */
  readonly A_log: Tensor;
  /** (nheads), or (d_inner) with D_has_hdim. */
  readonly D: Tensor;
  /** (nheads). */
  readonly dt_bias: Tensor;
  /** Of the gated norm (d_inner); undefined without rmsnorm. */
  readonly norm: Tensor | undefined;
  /** (d_model, d_inner). */
  readonly out_proj: Matrix;
  readonly out_proj_bias: Tensor | undefined;
}

function mamba2Weights(
  { use_bias, use_conv_bias, rmsnorm }: Mamba2Config,
  { matrix, vector }: WeightLookup,
): Mamba2Weights {
  return {
    in_proj: matrix("in_proj.weight"),
    in_proj_bias: use_bias ? vector("in_proj.bias") : undefined,
    conv1d: vector("conv1d.weight"),
    conv1d_bias: use_conv_bias ? vector("conv1d.bias") : undefined,
    A_log: vector("A_log"),
    D: vector("D"),
    dt_bias: vector("dt_bias"),
    norm: rmsnorm ? vector("norm.weight") : undefined,
    out_proj: matrix("out_proj.weight"),
    out_proj_bias: use_bias ? vector("out_proj.bias") : undefined,
  };
}

/** Activations inside a block. */
export interface Mamba2Activations {
  /** in_proj's output (rows, d_in_proj). */
  readonly zxbcdt: Tensor;
  /** conv1d's output (rows, conv_dim). */
  readonly xBC: Tensor;
  /** The recurrence's output (rows, d_inner). */
  readonly y: Tensor;
  /** The same gated and normalized (rows, d_inner). */
  readonly gated: Tensor;
  /** What ssdFwd() works in. */
  readonly decays: Tensor;
  readonly CB: Tensor;
  readonly states: Tensor;
}

function activationSizes(
  config: Mamba2Config,
  { rows, batch, keepsStates = false }: ActivationSize,
): Record<keyof Mamba2Activations, number> {
  const { nheads, d_inner, d_state, ngroups } = config;
  // Each sequence's last chunk may be a short one.
  const chunks = Math.ceil(rows / SSD_CHUNK) + batch;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  return {
    zxbcdt: rows * d_in_proj,
    xBC: rows * conv_dim,
    y: rows * d_inner,
    gated: rows * d_inner,
    decays: rows * nheads * 4,
    CB: chunks * ngroups * SSD_CHUNK * SSD_CHUNK,
    states: keepsStates ? 0 : chunks * d_inner * d_state,
  };
}

function activations(make: (name: string) => Tensor): Mamba2Activations {
  return {
    zxbcdt: make("zxbcdt"),
    xBC: make("xBC"),
    y: make("y"),
    gated: make("gated"),
    decays: make("decays"),
    CB: make("CB"),
    states: make("states"),
  };
}

/** Names of what it carries from step to step. */
export type Mamba2State = "conv_state" | "ssm_state";

type Mamba2Tensors = HalfTensors<Mamba2Weights, Mamba2Activations, Mamba2State>;

/**
 * Records one block: residual += mixer(RMSNorm(residual)), and the layer's state moves on by seqlen steps.
 *
 * A single step of few sequences takes three dispatches where the norm's group is the whole width: norm, in_proj and
 * conv1d in one; the recurrence, skip and gate; gated norm, out_proj and the residual.
 *
 * @param shape With a `chunk`, state.ssm_state has a slot for each chunk of the sequence: see ssdFwd().
 */
function mamba2Fwd(
  program: Program,
  config: Mamba2Config,
  tensors: Mamba2Tensors,
  shape: HalfShape,
): void {
  const isShort = shape.isStep || shape.batch <= MATVEC_MAX_ROWS;
  if (!shape.chunk && shape.seqlen === 1 && isShort) {
    mamba2Step(program, config, tensors, shape);
  } else mamba2Sequence(program, config, tensors, shape);
}

function mamba2Step(
  program: Program,
  config: Mamba2Config,
  tensors: Mamba2Tensors,
  shape: HalfShape,
): void {
  const { rmsnorm, norm_before_gate, ngroups, norm_epsilon: eps } = config;
  const { norm, weights, state, residual, activations } = tensors;
  const { d_inner, d_conv } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { batch, label } = shape;
  matvecFwd(
    program,
    { x: residual, weight: weights.in_proj, bias: weights.in_proj_bias, y: activations.zxbcdt },
    { rows: batch, label: `${label}.mixer.in_proj` },
    {
      norm: { weight: norm, eps },
      conv: {
        weight: weights.conv1d,
        bias: weights.conv1d_bias,
        state: state.conv_state,
        d_conv,
        d_inner: conv_dim,
        start: d_inner,
      },
    },
  );
  // A norm of the whole width after the gate is the one that a matvec can begin with.
  const isFused = !rmsnorm || (ngroups === 1 && !norm_before_gate);
  // What conv1d wrote lies where in_proj's output had its input.
  const xBC = { tensor: activations.zxbcdt, ldXBC: d_in_proj, xBCOffset: d_inner };
  recordStep(program, config, tensors, { ...shape, gated: isFused, xBC });
  if (!isFused) recordGatedNorm(program, config, tensors, shape);
  matvecFwd(
    program,
    {
      x: isFused ? activations.y : activations.gated,
      weight: weights.out_proj,
      bias: weights.out_proj_bias,
      y: residual,
    },
    { rows: batch, residual: true, label: `${label}.mixer.out_proj` },
    isFused && weights.norm !== undefined ? { norm: { weight: weights.norm, eps } } : {},
  );
}

function mamba2Sequence(
  program: Program,
  config: Mamba2Config,
  tensors: Mamba2Tensors,
  shape: HalfShape,
): void {
  const { d_model, norm_epsilon } = config;
  const { norm, weights, state, residual, normed, activations, output } = tensors;
  const { batch, seqlen, chunk = 0, label } = shape;
  const rows = batch * seqlen;
  rmsNormFwd(
    program,
    { x: residual, weight: norm, y: normed },
    { rows, d_model, eps: norm_epsilon, label: `${label}.norm` },
  );
  linearFwd(
    program,
    { x: normed, weight: weights.in_proj, bias: weights.in_proj_bias, y: activations.zxbcdt },
    { rows, label: `${label}.mixer.in_proj` },
  );
  recordConv1d(program, config, tensors, shape);
  // Chunks of one step would compute what a step does, at the cost of a whole chunk each.
  if (seqlen === 1 && chunk === 0) {
    recordStep(program, config, tensors, {
      ...shape,
      gated: false,
      xBC: { tensor: activations.xBC },
    });
  } else {
    const { xBC, zxbcdt, y, decays, CB, states } = activations;
    const { A_log, D, dt_bias } = weights;
    ssdFwd(
      program,
      { xBC, zxbcdt, A_log, D, dt_bias, ssm_state: state.ssm_state, y, decays, CB, states },
      { ...config, batch, seqlen, chunk, label: `${label}.mixer.ssd` },
    );
  }
  recordGatedNorm(program, config, tensors, shape);
  linearFwd(
    program,
    {
      x: activations.gated,
      weight: weights.out_proj,
      bias: weights.out_proj_bias,
      y: output ?? residual,
    },
    { rows, residual: output === undefined, label: `${label}.mixer.out_proj` },
  );
}

/** xBC = silu(conv1d(columns [x, B, C] of zxbcdt)). */
function recordConv1d(
  program: Program,
  config: Mamba2Config,
  { weights, state, activations }: Mamba2Tensors,
  { batch, seqlen, label }: HalfShape,
): void {
  const { d_inner, d_conv } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  conv1dFwd(
    program,
    {
      x: activations.zxbcdt,
      weight: weights.conv1d,
      bias: weights.conv1d_bias,
      conv_state: state.conv_state,
      y: activations.xBC,
    },
    {
      batch,
      seqlen,
      d_inner: conv_dim,
      d_conv,
      ldX: d_in_proj,
      xOffset: d_inner,
      label: `${label}.mixer.conv1d`,
    },
  );
}

/** The recurrence of one step, from conv1d's output wherever that lies. */
function recordStep(
  program: Program,
  config: Mamba2Config,
  { weights, state, activations }: Mamba2Tensors,
  { batch, gated, xBC, label }: HalfShape & {
    readonly gated: boolean;
    readonly xBC: { readonly tensor: Tensor; readonly ldXBC?: number; readonly xBCOffset?: number };
  },
): void {
  const { zxbcdt, y } = activations;
  const { A_log, D, dt_bias } = weights;
  const { tensor, ...place } = xBC;
  ssdStep(
    program,
    { xBC: tensor, zxbcdt, A_log, D, dt_bias, ssm_state: state.ssm_state, y },
    { ...config, ...place, batch, gated, label: `${label}.mixer.ssd` },
  );
}

/** gated = y with the gate and, where the model has one, the norm. */
function recordGatedNorm(
  program: Program,
  config: Mamba2Config,
  { weights, activations }: Mamba2Tensors,
  { batch, seqlen, label }: HalfShape,
): void {
  const { d_inner, ngroups, norm_epsilon, norm_before_gate } = config;
  gatedRmsNormFwd(
    program,
    { y: activations.y, z: activations.zxbcdt, weight: weights.norm, out: activations.gated },
    {
      rows: batch * seqlen,
      d_inner,
      group_size: d_inner / ngroups,
      eps: norm_epsilon,
      norm_before_gate,
      ldZ: ssdWidths(config).d_in_proj,
      label: `${label}.mixer.norm`,
    },
  );
}

/** How WebGPU runs it. */
export const webgpuMamba2: WebGpuPart<
  Mamba2Config,
  Mamba2Weights,
  Mamba2Activations,
  Mamba2Gradients,
  Mamba2State
> = {
  weights: mamba2Weights,
  activationSizes,
  activations,
  forward: mamba2Fwd,
  training: mamba2Training,
};
