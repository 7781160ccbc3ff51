/** The Mamba-2 mixer on the CPU: its weights, and one block's forward as a list of ops. */

import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import { ssdWidths } from "../../model/ssd_sizes.ts";
import type { CpuMatrix } from "../matrix.ts";
import { conv1dFwd } from "../ops/conv1d.ts";
import { gatedRmsNormFwd } from "../ops/gated_rms_norm.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../ops/linear.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { ssdFwd, ssdStep } from "../ops/ssd.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import type { WeightLookup } from "../weights.ts";
import { mamba2Training } from "./mamba2_bwd.ts";
import type { CpuPart, HalfShape, HalfTensors } from "./part.ts";

/** Weights of one mixer, by their official names. d_in_proj and conv_dim are those of {@linkcode ssdWidths}. */
export interface Mamba2Weights {
  /** (d_in_proj, d_model), rows [z, x, B, C, dt]. */
  readonly in_proj: CpuMatrix;
  readonly in_proj_bias: CpuTensor | undefined;
  /** (conv_dim, d_conv), channels [x, B, C]; the last tap is for the current step. */
  readonly conv1d: CpuTensor;
  readonly conv1d_bias: CpuTensor | undefined;
  /** (nheads); A = -exp(A_log). */
  readonly A_log: CpuTensor;
  /** (nheads), or (d_inner) with D_has_hdim. */
  readonly D: CpuTensor;
  /** (nheads). */
  readonly dt_bias: CpuTensor;
  /** Of the gated norm (d_inner); undefined without rmsnorm. */
  readonly norm: CpuTensor | undefined;
  /** (d_model, d_inner). */
  readonly out_proj: CpuMatrix;
  readonly out_proj_bias: CpuTensor | undefined;
}

/** Names of what it carries from step to step. */
export type Mamba2State = "conv_state" | "ssm_state";

/** Names of activations inside a block. */
export type Mamba2Activation =
  /** in_proj's output (rows, d_in_proj). */
  | "zxbcdt"
  /** conv1d's output (rows, conv_dim). */
  | "xBC"
  /** The recurrence's output (rows, d_inner). */
  | "y"
  /** The same gated and normalized (rows, d_inner). */
  | "gated";

type Mamba2Tensors = HalfTensors<Mamba2Weights, Mamba2State, Mamba2Activation>;

/** What runs it. */
export const cpuMamba2: CpuPart<Mamba2Config, Mamba2Weights, Mamba2State, Mamba2Activation> = {
  weights,

  activationSizes(config, rows) {
    const { d_inner, conv_dim, d_in_proj } = { ...config, ...ssdWidths(config) };
    return {
      zxbcdt: rows * d_in_proj,
      xBC: rows * conv_dim,
      y: rows * d_inner,
      gated: rows * d_inner,
    };
  },

  /**
   * A single step of few sequences takes three ops where the norm's group is the whole width: norm, in_proj and conv1d
   * in one; the recurrence, skip and gate; gated norm, out_proj and the residual.
   */
  forward(program, config, tensors, shape) {
    const isShort = shape.isStep || shape.batch <= MATVEC_MAX_ROWS;
    const isStep = !shape.chunk && shape.seqlen === 1 && isShort;
    (isStep ? recordStep : recordSequence)(program, config, tensors, shape);
  },

  training: mamba2Training,
};

function weights(
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

function recordStep(
  program: CpuProgram,
  config: Mamba2Config,
  tensors: Mamba2Tensors,
  shape: HalfShape,
): void {
  const { rmsnorm, norm_before_gate, ngroups, norm_epsilon: eps, d_inner, d_conv } = config;
  const { norm, weights, state, residual, activations: { zxbcdt, y, gated } } = tensors;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { batch, label } = shape;
  matvecFwd(
    program,
    { x: residual, weight: weights.in_proj, bias: weights.in_proj_bias, y: zxbcdt },
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
  ssdStep(
    program,
    { ...weights, xBC: zxbcdt, zxbcdt, ssm_state: state.ssm_state, y },
    {
      ...config,
      batch,
      gated: isFused,
      ldXBC: d_in_proj,
      xBCOffset: d_inner,
      label: `${label}.mixer.ssd`,
    },
  );
  if (!isFused) recordGatedNorm(program, config, tensors, shape);
  matvecFwd(
    program,
    {
      x: isFused ? y : gated,
      weight: weights.out_proj,
      bias: weights.out_proj_bias,
      y: residual,
    },
    { rows: batch, residual: true, label: `${label}.mixer.out_proj` },
    isFused && weights.norm !== undefined ? { norm: { weight: weights.norm, eps } } : {},
  );
}

function recordSequence(
  program: CpuProgram,
  config: Mamba2Config,
  tensors: Mamba2Tensors,
  shape: HalfShape,
): void {
  const { d_model, d_inner, d_conv, norm_epsilon } = config;
  const { norm, weights, state, residual, normed, activations, output } = tensors;
  const { zxbcdt, xBC, y, gated } = activations;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { batch, seqlen, chunk = 0, label } = shape;
  const rows = batch * seqlen;
  rmsNormFwd(
    program,
    { x: residual, weight: norm, y: normed },
    { rows, d_model, eps: norm_epsilon, label: `${label}.norm` },
  );
  linearFwd(
    program,
    { x: normed, weight: weights.in_proj, bias: weights.in_proj_bias, y: zxbcdt },
    { rows, label: `${label}.mixer.in_proj` },
  );
  conv1dFwd(
    program,
    {
      x: zxbcdt,
      weight: weights.conv1d,
      bias: weights.conv1d_bias,
      conv_state: state.conv_state,
      y: xBC,
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
  ssdFwd(
    program,
    { ...weights, xBC, zxbcdt, ssm_state: state.ssm_state, y },
    { ...config, batch, seqlen, chunk, label: `${label}.mixer.ssd` },
  );
  recordGatedNorm(program, config, tensors, shape);
  linearFwd(
    program,
    { x: gated, weight: weights.out_proj, bias: weights.out_proj_bias, y: output ?? residual },
    { rows, residual: output === undefined, label: `${label}.mixer.out_proj` },
  );
}

/** gated = y with the gate and, where the model has one, the norm. */
function recordGatedNorm(
  program: CpuProgram,
  config: Mamba2Config,
  { weights, activations: { y, zxbcdt, gated } }: Mamba2Tensors,
  { batch, seqlen, label }: HalfShape,
): void {
  const { d_inner, ngroups, norm_epsilon, norm_before_gate } = config;
  gatedRmsNormFwd(
    program,
    { y, z: zxbcdt, weight: weights.norm, out: gated },
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
