/** The Mamba-1 mixer: its weights, and one block's forward as a list of ops. */

import type { Mamba1Config } from "../../model/mixers/mamba1.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfShape, HalfTensors, Part } from "../part.ts";
import type { WeightLookup } from "../weights.ts";
import { mamba1Training } from "./mamba1_bwd.ts";

/** Weights of one mixer, by their official names. */
export interface Mamba1Weights<K extends PassKinds> {
  /** (2 d_inner, d_model), rows [x, z]. */
  readonly in_proj: K["matrix"];
  readonly in_proj_bias: K["tensor"] | undefined;
  /** (d_inner, d_conv); the last tap is for the current step. */
  readonly conv1d: K["tensor"];
  readonly conv1d_bias: K["tensor"] | undefined;
  /** (dt_rank + 2 d_state, d_inner), rows [dt, B, C]. */
  readonly x_proj: K["matrix"];
  /** (d_inner, dt_rank). */
  readonly dt_proj: K["matrix"];
  readonly dt_proj_bias: K["tensor"];
  /** (d_inner, d_state); A = -exp(A_log). */
  readonly A_log: K["tensor"];
  /** The same as scans take it, of an executor that has `rates`. */
  readonly rates: K["tensor"] | undefined;
  /** (d_inner). */
  readonly D: K["tensor"];
  /** (d_model, d_inner). */
  readonly out_proj: K["matrix"];
  readonly out_proj_bias: K["tensor"] | undefined;
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
  /** Scratch of the scan: the state before each chunk of the sequences. */
  | "chunk_states"
  /** The gated scan's output (rows, d_inner). */
  | "y";

type Mamba1Tensors<K extends PassKinds> = HalfTensors<
  K,
  Mamba1Weights<K>,
  Mamba1State,
  Mamba1Activation
>;

/** How it runs over the ops of an executor. */
export function mamba1<K extends PassKinds>(
  ops: OpSet<K>,
): Part<K, Mamba1Config, Mamba1Weights<K>, Mamba1State, Mamba1Activation> {
  return {
    requireSupported({ d_state }) {
      if (d_state <= ops.MAX_SCAN_STATES) return;
      throw new RangeError(
        `Cannot run this model: d_state is ${d_state}, and kernels take ${ops.MAX_SCAN_STATES}`,
      );
    },

    weights: (config, lookup) => mamba1Weights(ops, config, lookup),

    activationSizes(config, size) {
      const { d_inner, d_state, dt_rank, mixer_rms_eps } = config;
      const { rows } = size;
      return {
        xz: rows * 2 * d_inner,
        u: rows * d_inner,
        x_dbl: rows * (dt_rank + 2 * d_state),
        x_dbl_rstd: mixer_rms_eps === undefined ? 0 : rows * 3,
        dt: rows * d_inner,
        ...ops.scanActivations(config, size),
        y: rows * d_inner,
      };
    },

    together: ["u", "dt"],

    /**
     * A single step of few sequences takes four ops: norm, in_proj and conv1d in one; x_proj; dt_proj, scan and gate in
     * one; out_proj and the residual. Everything else takes seven, from the same formulas. FalconMamba takes one more.
     */
    forward(program, config, tensors, shape) {
      const isShort = shape.isStep || shape.batch <= ops.MATVEC_MAX_ROWS;
      const isStep = !shape.chunk && shape.seqlen === 1 && isShort;
      (isStep ? recordStep : recordSequence)(ops, program, config, tensors, shape);
    },

    training: mamba1Training(ops),
  };
}

function mamba1Weights<K extends PassKinds>(
  { rates }: OpSet<K>,
  { d_inner, d_state, use_bias, use_conv_bias }: Mamba1Config,
  { matrix, vector, derived }: WeightLookup<K>,
): Mamba1Weights<K> {
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
    rates: rates && derived?.("rates", rates.shapeOf(sizes), (program, tensor) => {
      rates.record(program, { A_log, rates: tensor }, { ...sizes, label: "rates" });
    }),
    D: vector("D"),
    out_proj: matrix("out_proj.weight"),
    out_proj_bias: use_bias ? vector("out_proj.bias") : undefined,
  };
}

function recordStep<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba1Config,
  { norm, weights, state, residual, activations }: Mamba1Tensors<K>,
  { batch, label }: HalfShape,
): void {
  const { d_inner, d_conv, norm_epsilon } = config;
  const { xz, x_dbl, y } = activations;
  ops.matvecFwd(
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
  ops.matvecFwd(
    program,
    { x: xz, weight: weights.x_proj, y: x_dbl },
    { rows: batch, ldX: 2 * d_inner, label: `${label}.mixer.x_proj` },
  );
  normalizeDtBC(ops, program, config, activations, { rows: batch, label });
  ops.selectiveScanStep(
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
  ops.matvecFwd(
    program,
    { x: y, weight: weights.out_proj, bias: weights.out_proj_bias, y: residual },
    { rows: batch, residual: true, label: `${label}.mixer.out_proj` },
  );
}

function recordSequence<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba1Config,
  { norm, weights, state, residual, normed, activations, output }: Mamba1Tensors<K>,
  { batch, seqlen, chunk = 0, label }: HalfShape,
): void {
  const { d_model, d_inner, d_state, d_conv, dt_rank, norm_epsilon } = config;
  const { xz, u, x_dbl, dt, chunk_states, y } = activations;
  const rows = batch * seqlen;
  const keep = chunk > 0;
  ops.rmsNormFwd(
    program,
    { x: residual, weight: norm, y: normed },
    { rows, d_model, eps: norm_epsilon, label: `${label}.norm` },
  );
  ops.linearFwd(
    program,
    { x: normed, weight: weights.in_proj, bias: weights.in_proj_bias, y: xz },
    { rows, label: `${label}.mixer.in_proj` },
  );
  ops.conv1dFwd(
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
  ops.linearFwd(
    program,
    // What the scan writes later is free until then.
    { x: u, weight: weights.x_proj, partials: y, y: x_dbl },
    { rows, label: `${label}.mixer.x_proj` },
  );
  normalizeDtBC(ops, program, config, activations, { rows, label });
  ops.linearFwd(
    program,
    { x: x_dbl, weight: weights.dt_proj, bias: weights.dt_proj_bias, y: dt },
    { rows, ldX: dt_rank + 2 * d_state, label: `${label}.mixer.dt_proj` },
  );
  ops.selectiveScanFwd(
    program,
    {
      ...{ u, dt, x_dbl, xz, A_log: weights.A_log, rates: weights.rates, D: weights.D, y },
      ssm_state: state.ssm_state,
      chunk_states: keep ? undefined : chunk_states,
    },
    { batch, seqlen, d_inner, d_state, dt_rank, keep, label: `${label}.mixer.scan` },
  );
  ops.linearFwd(
    program,
    { x: y, weight: weights.out_proj, bias: weights.out_proj_bias, y: output ?? residual },
    { rows, residual: output === undefined, label: `${label}.mixer.out_proj` },
  );
}

/** FalconMamba's norms; nothing for Mamba-1. */
function normalizeDtBC<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { dt_rank, d_state, mixer_rms_eps: eps }: Mamba1Config,
  { x_dbl, x_dbl_rstd }: Mamba1Tensors<K>["activations"],
  { rows, label }: { rows: number; label: string },
): void {
  if (eps === undefined) return;
  ops.dtBCNormFwd(program, { x_dbl, rstd: x_dbl_rstd }, {
    rows,
    dt_rank,
    d_state,
    eps,
    label: `${label}.mixer.dt_bc_norm`,
  });
}
