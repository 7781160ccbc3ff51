/** The Mamba-1 mixer on WebGPU: its weights, and one block's forward as a list of ops. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import { sizeTogether, viewsOf } from "../../gpu/span.ts";
import { conv1dFwd } from "../../ops/conv1d.ts";
import { dtBCNormFwd } from "../../ops/dt_bc_norm.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../../ops/linear.ts";
import type { Matrix } from "../../ops/matrix.ts";
import { rmsNormFwd } from "../../ops/rms_norm.ts";
import { selectiveScanFwd, selectiveScanStep } from "../../ops/selective_scan.ts";
import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import type { WeightLookup } from "../weights.ts";
import { type Mamba1Gradients, mamba1Training } from "./mamba1_bwd.ts";
import type { ActivationSize, HalfShape, HalfTensors, WebGpuPart } from "./part.ts";

/** Weights of one mixer, by their official names. */
export interface Mamba1Weights {
  /** (2 d_inner, d_model), rows [x, z]. */
  readonly in_proj: Matrix;
  readonly in_proj_bias: Tensor | undefined;
  /** (d_inner, d_conv); the last tap is for the current step. */
  readonly conv1d: Tensor;
  readonly conv1d_bias: Tensor | undefined;
  /** (dt_rank + 2 d_state, d_inner), rows [dt, B, C]. */
  readonly x_proj: Matrix;
  /** (d_inner, dt_rank). */
  readonly dt_proj: Matrix;
  readonly dt_proj_bias: Tensor;
  /** (d_inner, d_state); A = -exp(A_log). */
  readonly A_log: Tensor;
  /** (d_inner). */
  readonly D: Tensor;
  /** (d_model, d_inner). */
  readonly out_proj: Matrix;
  readonly out_proj_bias: Tensor | undefined;
}

function mamba1Weights(
  config: Mamba1Config,
  { matrix, vector }: WeightLookup,
): Mamba1Weights {
  return {
    in_proj: matrix("in_proj.weight"),
    in_proj_bias: config.use_bias ? vector("in_proj.bias") : undefined,
    conv1d: vector("conv1d.weight"),
    conv1d_bias: config.use_conv_bias ? vector("conv1d.bias") : undefined,
    x_proj: matrix("x_proj.weight"),
    dt_proj: matrix("dt_proj.weight"),
    dt_proj_bias: vector("dt_proj.bias"),
    A_log: vector("A_log"),
    D: vector("D"),
    out_proj: matrix("out_proj.weight"),
    out_proj_bias: config.use_bias ? vector("out_proj.bias") : undefined,
  };
}

/** Activations inside a block. */
export interface Mamba1Activations {
  /** in_proj's output (rows, 2 d_inner). */
  readonly xz: Tensor;
  /** conv1d's output (rows, d_inner). */
  readonly u: Tensor;
  /** x_proj's output (rows, dt_rank + 2 d_state), normalized in FalconMamba. */
  readonly x_dbl: Tensor;
  /** FalconMamba: 1 / the root mean square of dt, B and C (rows, 3). */
  readonly x_dbl_rstd: Tensor;
  /** dt_proj's output (rows, d_inner). */
  readonly dt: Tensor;
  /** The gated scan's output (rows, d_inner). */
  readonly y: Tensor;
}

function activationSizes(
  { d_inner, d_state, dt_rank, mixer_rms_eps }: Mamba1Config,
  { rows }: ActivationSize,
): Record<Exclude<keyof Mamba1Activations, "u" | "dt"> | "u_dt", number> {
  return {
    xz: rows * 2 * d_inner,
    u_dt: sizeTogether({ u: rows * d_inner, dt: rows * d_inner }),
    x_dbl: rows * (dt_rank + 2 * d_state),
    x_dbl_rstd: mixer_rms_eps === undefined ? 0 : rows * 3,
    y: rows * d_inner,
  };
}

function activations(make: (name: string) => Tensor): Mamba1Activations {
  const y = make("y");
  return {
    xz: make("xz"),
    ...viewsOf(make("u_dt"), { u: y.size, dt: y.size }),
    x_dbl: make("x_dbl"),
    x_dbl_rstd: make("x_dbl_rstd"),
    y,
  };
}

/** Names of what it carries from step to step. */
export type Mamba1State = "conv_state" | "ssm_state";

type Mamba1Tensors = HalfTensors<Mamba1Weights, Mamba1Activations, Mamba1State>;

/**
 * Records one block: residual += mixer(RMSNorm(residual)), and the layer's state moves on by seqlen steps.
 *
 * A single step of few sequences takes four dispatches: norm, in_proj and conv1d in one; x_proj; dt_proj, scan and gate
 * in one; out_proj and the residual. Everything else takes seven, from the same formulas. FalconMamba takes one more.
 *
 * @param shape With a `chunk`, state.ssm_state has a slot for each chunk of the sequence: see selectiveScanFwd().
 */
function mamba1Fwd(
  program: Program,
  config: Mamba1Config,
  tensors: Mamba1Tensors,
  shape: HalfShape,
): void {
  const isShort = shape.isStep || shape.batch <= MATVEC_MAX_ROWS;
  if (!shape.chunk && shape.seqlen === 1 && isShort) {
    mamba1Step(program, config, tensors, shape);
  } else mamba1Sequence(program, config, tensors, shape);
}

function mamba1Step(
  program: Program,
  config: Mamba1Config,
  { norm, weights, state, residual, activations }: Mamba1Tensors,
  { batch, label }: HalfShape,
): void {
  const { d_inner, d_conv, norm_epsilon } = config;
  const { xz, x_dbl, y } = activations;
  matvecFwd(
    program,
    { x: residual, weight: weights.in_proj, bias: weights.in_proj_bias, y: xz },
    { rows: batch, label: `${label}.mixer.in_proj` },
    {
      norm: { weight: norm, eps: norm_epsilon },
      conv: {
        weight: weights.conv1d,
        bias: weights.conv1d_bias,
        state: state.conv_state,
        d_conv,
        d_inner,
      },
    },
  );
  matvecFwd(
    program,
    { x: xz, weight: weights.x_proj, y: x_dbl },
    { rows: batch, ldX: 2 * d_inner, label: `${label}.mixer.x_proj` },
  );
  normalizeDtBC(program, config, activations, { rows: batch, label });
  selectiveScanStep(
    program,
    {
      xz,
      x_dbl,
      dt_weight: weights.dt_proj,
      dt_bias: weights.dt_proj_bias,
      A_log: weights.A_log,
      D: weights.D,
      ssm_state: state.ssm_state,
      y,
    },
    { batch, ...config, label: `${label}.mixer.scan` },
  );
  matvecFwd(
    program,
    { x: y, weight: weights.out_proj, bias: weights.out_proj_bias, y: residual },
    { rows: batch, residual: true, label: `${label}.mixer.out_proj` },
  );
}

function mamba1Sequence(
  program: Program,
  config: Mamba1Config,
  { norm, weights, state, residual, normed, activations, output }: Mamba1Tensors,
  { batch, seqlen, chunk = 0, label }: HalfShape,
): void {
  const { d_model, d_inner, d_state, d_conv, dt_rank, norm_epsilon } = config;
  const { xz, u, x_dbl, dt, y } = activations;
  const rows = batch * seqlen;
  rmsNormFwd(
    program,
    { x: residual, weight: norm, y: normed },
    { rows, d_model, eps: norm_epsilon, label: `${label}.norm` },
  );
  linearFwd(
    program,
    { x: normed, weight: weights.in_proj, bias: weights.in_proj_bias, y: xz },
    { rows, label: `${label}.mixer.in_proj` },
  );
  conv1dFwd(
    program,
    {
      x: xz,
      weight: weights.conv1d,
      bias: weights.conv1d_bias,
      conv_state: state.conv_state,
      y: u,
    },
    { batch, seqlen, d_inner, d_conv, ldX: 2 * d_inner, label: `${label}.mixer.conv1d` },
  );
  linearFwd(
    program,
    { x: u, weight: weights.x_proj, y: x_dbl },
    { rows, label: `${label}.mixer.x_proj` },
  );
  normalizeDtBC(program, config, activations, { rows, label });
  linearFwd(
    program,
    { x: x_dbl, weight: weights.dt_proj, bias: weights.dt_proj_bias, y: dt },
    { rows, ldX: dt_rank + 2 * d_state, label: `${label}.mixer.dt_proj` },
  );
  selectiveScanFwd(
    program,
    { u, dt, x_dbl, xz, A_log: weights.A_log, D: weights.D, ssm_state: state.ssm_state, y },
    { batch, seqlen, d_inner, d_state, dt_rank, keep: chunk > 0, label: `${label}.mixer.scan` },
  );
  linearFwd(
    program,
    { x: y, weight: weights.out_proj, bias: weights.out_proj_bias, y: output ?? residual },
    { rows, residual: output === undefined, label: `${label}.mixer.out_proj` },
  );
}

/** FalconMamba's norms; nothing for Mamba-1. */
function normalizeDtBC(
  program: Program,
  { dt_rank, d_state, mixer_rms_eps: eps }: Mamba1Config,
  { x_dbl, x_dbl_rstd }: Mamba1Activations,
  { rows, label }: { rows: number; label: string },
): void {
  if (eps === undefined) return;
  dtBCNormFwd(program, { x_dbl, rstd: x_dbl_rstd }, {
    rows,
    dt_rank,
    d_state,
    eps,
    label: `${label}.mixer.dt_bc_norm`,
  });
}

/** How WebGPU runs it. */
export const webgpuMamba1: WebGpuPart<
  Mamba1Config,
  Mamba1Weights,
  Mamba1Activations,
  Mamba1Gradients,
  Mamba1State
> = {
  weights: mamba1Weights,
  activationSizes,
  activations,
  forward: mamba1Fwd,
  training: mamba1Training,
};
