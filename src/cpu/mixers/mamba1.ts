/** The Mamba-1 mixer on the CPU: its weights, and one block's forward as a list of ops. */

import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import type { CpuMatrix } from "../matrix.ts";
import { conv1dFwd } from "../ops/conv1d.ts";
import { dtBCNormFwd } from "../ops/dt_bc_norm.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../ops/linear.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import {
  scanRates,
  scanRatesShape,
  selectiveScanFwd,
  selectiveScanStep,
} from "../ops/selective_scan.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import type { WeightLookup } from "../weights.ts";
import { mamba1Training } from "./mamba1_bwd.ts";
import type { CpuPart, HalfShape, HalfTensors } from "./part.ts";

/** Weights of one mixer, by their official names. */
export interface Mamba1Weights {
  /** (2 d_inner, d_model), rows [x, z]. */
  readonly in_proj: CpuMatrix;
  readonly in_proj_bias: CpuTensor | undefined;
  /** (d_inner, d_conv); the last tap is for the current step. */
  readonly conv1d: CpuTensor;
  readonly conv1d_bias: CpuTensor | undefined;
  /** (dt_rank + 2 d_state, d_inner), rows [dt, B, C]. */
  readonly x_proj: CpuMatrix;
  /** (d_inner, dt_rank). */
  readonly dt_proj: CpuMatrix;
  readonly dt_proj_bias: CpuTensor;
  /** (d_inner, d_state); A = -exp(A_log). */
  readonly A_log: CpuTensor;
  /** The same as scans take it. */
  readonly rates: CpuTensor;
  /** (d_inner). */
  readonly D: CpuTensor;
  /** (d_model, d_inner). */
  readonly out_proj: CpuMatrix;
  readonly out_proj_bias: CpuTensor | undefined;
}

/** Names of what it carries from step to step. */
export type Mamba1State = "conv_state" | "ssm_state";

/** Names of activations inside a block. */
export type Mamba1Activation =
  /** in_proj's output (rows, 2 d_inner). */
  | "xz"
  /** conv1d's output (rows, d_inner). */
  | "u"
  /** x_proj's output (rows, dt_rank + 2 d_state), normalized in FalconMamba. */
  | "x_dbl"
  /** FalconMamba: 1 / the root mean square of dt, B and C (rows, 3). */
  | "x_dbl_rstd"
  /** dt_proj's output (rows, d_inner). */
  | "dt"
  /** The gated scan's output (rows, d_inner). */
  | "y";

type Mamba1Tensors = HalfTensors<Mamba1Weights, Mamba1State, Mamba1Activation>;

/** What runs it. */
export const cpuMamba1: CpuPart<Mamba1Config, Mamba1Weights, Mamba1State, Mamba1Activation> = {
  weights,

  activationSizes({ d_inner, d_state, dt_rank, mixer_rms_eps }, rows) {
    return {
      xz: rows * 2 * d_inner,
      u: rows * d_inner,
      x_dbl: rows * (dt_rank + 2 * d_state),
      x_dbl_rstd: mixer_rms_eps === undefined ? 0 : rows * 3,
      dt: rows * d_inner,
      y: rows * d_inner,
    };
  },

  /**
   * A single step of few sequences takes four ops: norm, in_proj and conv1d in one; x_proj; dt_proj, scan and gate in
   * one; out_proj and the residual. Everything else takes seven, from the same formulas. FalconMamba takes one more.
   */
  forward(program, config, tensors, shape) {
    const isShort = shape.isStep || shape.batch <= MATVEC_MAX_ROWS;
    const isStep = !shape.chunk && shape.seqlen === 1 && isShort;
    (isStep ? recordStep : recordSequence)(program, config, tensors, shape);
  },

  training: mamba1Training,
};

function weights(
  { d_inner, d_state, use_bias, use_conv_bias }: Mamba1Config,
  { matrix, vector, derived }: WeightLookup,
): Mamba1Weights {
  const A_log = vector("A_log");
  const sizes = { d_inner, d_state };
  return {
    in_proj: matrix("in_proj.weight"),
    in_proj_bias: use_bias ? vector("in_proj.bias") : undefined,
    conv1d: vector("conv1d.weight"),
    conv1d_bias: use_conv_bias ? vector("conv1d.bias") : undefined,
    x_proj: matrix("x_proj.weight"),
    dt_proj: matrix("dt_proj.weight"),
    dt_proj_bias: vector("dt_proj.bias"),
    A_log,
    rates: derived(
      "rates",
      scanRatesShape(sizes),
      (program, rates) => scanRates(program, { A_log, rates }, { ...sizes, label: "rates" }),
    ),
    D: vector("D"),
    out_proj: matrix("out_proj.weight"),
    out_proj_bias: use_bias ? vector("out_proj.bias") : undefined,
  };
}

function recordStep(
  program: CpuProgram,
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
      rates: weights.rates,
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

function recordSequence(
  program: CpuProgram,
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
    { ...weights, u, dt, x_dbl, xz, ssm_state: state.ssm_state, y },
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
  program: CpuProgram,
  { dt_rank, d_state, mixer_rms_eps: eps }: Mamba1Config,
  { x_dbl, x_dbl_rstd }: Mamba1Tensors["activations"],
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
