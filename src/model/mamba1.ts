/** The Mamba-1 mixer: its weights, and one block's forward as a list of ops. */

import type { Program } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { conv1dFwd } from "../ops/conv1d.ts";
import { linearFwd, MATVEC_MAX_ROWS, matvecFwd } from "../ops/linear.ts";
import type { Matrix } from "../ops/matrix.ts";
import { rmsNormFwd } from "../ops/rms_norm.ts";
import { selectiveScanFwd, selectiveScanStep } from "../ops/selective_scan.ts";
import type { ModelConfig } from "./config.ts";
import type { Scratch } from "./scratch.ts";
import type { LayerState } from "./state.ts";
import type { WeightLookup, WeightSpec } from "./weights.ts";

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

/** The tensors of a mixer in the checkpoint, whose names start with `prefix`. */
export function mamba1WeightSpecs(config: ModelConfig, prefix: string): WeightSpec[] {
  const { d_model, d_inner, d_state, d_conv, dt_rank, use_bias, use_conv_bias } = config;
  const specs: WeightSpec[] = [
    { name: "in_proj.weight", shape: [2 * d_inner, d_model], kind: "matrix" },
    { name: "conv1d.weight", shape: [d_inner, 1, d_conv], kind: "vector" },
    { name: "x_proj.weight", shape: [dt_rank + 2 * d_state, d_inner], kind: "matrix" },
    { name: "dt_proj.weight", shape: [d_inner, dt_rank], kind: "matrix", neverQuantized: true },
    { name: "dt_proj.bias", shape: [d_inner], kind: "vector" },
    { name: "A_log", shape: [d_inner, d_state], kind: "vector" },
    { name: "D", shape: [d_inner], kind: "vector" },
    { name: "out_proj.weight", shape: [d_model, d_inner], kind: "matrix" },
  ];
  if (use_conv_bias) specs.push({ name: "conv1d.bias", shape: [d_inner], kind: "vector" });
  if (use_bias) {
    specs.push({ name: "in_proj.bias", shape: [2 * d_inner], kind: "vector" });
    specs.push({ name: "out_proj.bias", shape: [d_model], kind: "vector" });
  }
  return specs.map((spec) => ({ ...spec, name: prefix + spec.name }));
}

/** The same tensors on the GPU. */
export function mamba1Weights(
  config: ModelConfig,
  prefix: string,
  lookup: WeightLookup,
): Mamba1Weights {
  const matrix = (name: string) => lookup.matrix(prefix + name);
  const vector = (name: string) => lookup.vector(prefix + name);
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

/** What a block works on. */
export interface BlockTensors {
  readonly norm: Tensor;
  readonly weights: Mamba1Weights;
  readonly state: LayerState;
  readonly scratch: Scratch;
  /** Where the mixer's output goes instead of being added to the residual stream: for dropout. */
  readonly output?: Tensor | undefined;
}

/**
 * Records one block: residual += mixer(RMSNorm(residual)), and the layer's state moves on by seqlen steps.
 *
 * A single step of few sequences takes four dispatches: norm, in_proj and conv1d in one; x_proj; dt_proj, scan and gate
 * in one; out_proj and the residual. Everything else takes seven, from the same formulas.
 *
 * @param shape With a `chunk`, state.ssm_state has a slot for each chunk of the sequence: see selectiveScanFwd().
 */
export function mamba1Fwd(
  program: Program,
  config: ModelConfig,
  tensors: BlockTensors,
  shape: { batch: number; seqlen: number; chunk?: number; label: string },
): void {
  if (!shape.chunk && shape.seqlen === 1 && shape.batch <= MATVEC_MAX_ROWS) {
    mamba1Step(program, config, tensors, shape);
  } else mamba1Sequence(program, config, tensors, shape);
}

function mamba1Step(
  program: Program,
  config: ModelConfig,
  { norm, weights, state, scratch }: BlockTensors,
  { batch, label }: { batch: number; label: string },
): void {
  const { d_inner, d_conv, norm_epsilon } = config;
  const { residual, xz, x_dbl, y } = scratch;
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
  config: ModelConfig,
  { norm, weights, state, scratch, output }: BlockTensors,
  { batch, seqlen, chunk = 0, label }: {
    batch: number;
    seqlen: number;
    chunk?: number;
    label: string;
  },
): void {
  const { d_model, d_inner, d_state, d_conv, dt_rank, norm_epsilon } = config;
  const { residual, normed, xz, u, x_dbl, dt, y } = scratch;
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
  linearFwd(
    program,
    { x: x_dbl, weight: weights.dt_proj, bias: weights.dt_proj_bias, y: dt },
    { rows, ldX: dt_rank + 2 * d_state, label: `${label}.mixer.dt_proj` },
  );
  selectiveScanFwd(
    program,
    { u, dt, x_dbl, xz, A_log: weights.A_log, D: weights.D, ssm_state: state.ssm_state, y },
    { batch, seqlen, d_inner, d_state, dt_rank, chunk, label: `${label}.mixer.scan` },
  );
  linearFwd(
    program,
    { x: y, weight: weights.out_proj, bias: weights.out_proj_bias, y: output ?? residual },
    { rows, residual: output === undefined, label: `${label}.mixer.out_proj` },
  );
}
