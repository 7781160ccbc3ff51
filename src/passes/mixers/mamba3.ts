/** The Mamba-3 mixer: its weights, and one block's forward as a list of ops. */

import { mamba3Widths } from "../../model/mamba3_sizes.ts";
import type { Mamba3Config } from "../../model/mixers/mamba3.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfShape, HalfTensors, Part } from "../part.ts";
import type { WeightLookup } from "../weights.ts";
import { mamba3Training } from "./mamba3_bwd.ts";

/** Weights of one mixer, by their official names. d_in_proj is that of {@linkcode mamba3Widths}. */
export interface Mamba3Weights<K extends PassKinds> {
  /** (d_in_proj, d_model), rows [z, x, B, C, dd_dt, dd_A, trap, angles]. */
  readonly in_proj: K["matrix"];
  /** (nheads). */
  readonly dt_bias: K["tensor"];
  /** (d_state). */
  readonly B_norm: K["tensor"];
  readonly C_norm: K["tensor"];
  /** (nheads, mimo_rank, d_state). */
  readonly B_bias: K["tensor"];
  readonly C_bias: K["tensor"];
  /** (nheads). */
  readonly D: K["tensor"];
  /** (nheads, mimo_rank, headdim), in MIMO: what x, z and the output are multiplied by. */
  readonly mimo_x: K["tensor"] | undefined;
  readonly mimo_z: K["tensor"] | undefined;
  readonly mimo_o: K["tensor"] | undefined;
  /** Of the norm before the gate (d_inner), with is_outproj_norm. */
  readonly norm: K["tensor"] | undefined;
  /** (d_model, d_inner). */
  readonly out_proj: K["matrix"];
}

/** Names of what it carries from step to step. */
export type Mamba3State = "theta" | "ssm_state" | "k" | "v";

/** Names of activations inside a block. */
export type Mamba3Activation =
  /** in_proj's output (rows, d_in_proj). */
  | "zxBCdt"
  /** dt and what follows from it (batch, nheads, seqlen, 4). */
  | "rates"
  /** The angles of each step (rows, nheads, num_rope_angles). */
  | "thetas"
  /** What the recurrence reads (rows, mimo_rank, [v, k, q]). */
  | "vkq"
  /** Its output (rows, mimo_rank, d_inner). */
  | "y"
  /** The same gated, and summed over ranks (rows, d_inner). */
  | "gated"
  /** What mamba3Scan() works in, and the states that training keeps. */
  | "decays"
  | "CB"
  | "states";

type Mamba3Tensors<K extends PassKinds> = HalfTensors<
  K,
  Mamba3Weights<K>,
  Mamba3State,
  Mamba3Activation
>;

/** How it runs over the ops of an executor. */
export function mamba3<K extends PassKinds>(
  ops: OpSet<K>,
): Part<K, Mamba3Config, Mamba3Weights<K>, Mamba3State, Mamba3Activation> {
  return {
    weights: mamba3Weights,

    activationSizes(config, size) {
      const { rows } = size;
      const { nheads, mimo_rank, num_rope_angles } = config;
      const { d_inner, d_in_proj, d_vkq } = mamba3Widths(config);
      return {
        zxBCdt: rows * d_in_proj,
        rates: rows * nheads * 4,
        thetas: rows * nheads * num_rope_angles,
        vkq: rows * mimo_rank * d_vkq,
        y: rows * mimo_rank * d_inner,
        gated: rows * d_inner,
        ...ops.mamba3ScanScratch(config, size),
      };
    },

    together: [],

    forward(program, config, tensors, shape) {
      const isShort = shape.isStep || shape.batch <= ops.MATVEC_MAX_ROWS;
      const isStep = !shape.chunk && shape.seqlen === 1 && isShort;
      recordForward(ops, program, config, tensors, { ...shape, isStep });
    },

    training: mamba3Training(ops),
  };
}

function mamba3Weights<K extends PassKinds>(
  { is_mimo, is_outproj_norm }: Mamba3Config,
  { matrix, vector }: WeightLookup<K>,
): Mamba3Weights<K> {
  const ofMimo = (name: string) => is_mimo ? vector(name) : undefined;
  return {
    in_proj: matrix("in_proj.weight"),
    dt_bias: vector("dt_bias"),
    B_norm: vector("B_norm.weight"),
    C_norm: vector("C_norm.weight"),
    B_bias: vector("B_bias"),
    C_bias: vector("C_bias"),
    D: vector("D"),
    mimo_x: ofMimo("mimo_x"),
    mimo_z: ofMimo("mimo_z"),
    mimo_o: ofMimo("mimo_o"),
    norm: is_outproj_norm ? vector("norm.weight") : undefined,
    out_proj: matrix("out_proj.weight"),
  };
}

/** A single step of few sequences begins and ends with a matvec, which brings the norm before and adds to the stream. */
function recordForward<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba3Config,
  tensors: Mamba3Tensors<K>,
  shape: HalfShape & { readonly isStep: boolean },
): void {
  const { d_model, norm_epsilon: eps } = config;
  const { norm, weights, residual, normed, activations, output } = tensors;
  const { batch, seqlen, isStep, label } = shape;
  const rows = batch * seqlen;
  const { zxBCdt, gated } = activations;
  const inProj = { rows, label: `${label}.mixer.in_proj` };
  const outProj = {
    rows,
    residual: output === undefined,
    label: `${label}.mixer.out_proj`,
  };
  const y = output ?? residual;
  if (isStep) {
    const x = { x: residual, weight: weights.in_proj, y: zxBCdt };
    ops.matvecFwd(program, x, inProj, { norm: { weight: norm, eps } });
    const record = ops.mamba3Steps?.takes(config) ? recordStep : recordRecurrence;
    record(ops, program, config, tensors, shape);
    ops.matvecFwd(program, { x: gated, weight: weights.out_proj, y }, outProj);
    return;
  }
  const normShape = { rows, d_model, eps, label: `${label}.norm` };
  ops.rmsNormFwd(program, { x: residual, weight: norm, y: normed }, normShape);
  ops.linearFwd(program, { x: normed, weight: weights.in_proj, y: zxBCdt }, inProj);
  recordRecurrence(ops, program, config, tensors, shape);
  ops.linearFwd(program, { x: gated, weight: weights.out_proj, y }, outProj);
}

/** From in_proj's output to what out_proj reads, for a single step of an executor that has ops of its own for that. */
function recordStep<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba3Config,
  { weights, state, activations }: Mamba3Tensors<K>,
  { batch, label }: HalfShape,
): void {
  const { zxBCdt, vkq, y, gated } = activations;
  const { norm: weight, mimo_z, mimo_o } = weights;
  const shape = { ...config, batch, eps: config.norm_epsilon };
  // What comes between the recurrence and the gate: a norm, or a sum over ranks behind it.
  const isApart = weight !== undefined || mimo_z !== undefined;
  ops.mamba3Steps?.record(
    program,
    { ...weights, ...state, zxBCdt, kq: vkq, y: isApart ? y : gated },
    { ...shape, gated: !isApart, label: `${label}.mixer.step` },
  );
  if (!isApart) return;
  ops.mamba3GateFwd(
    program,
    { y, zxBCdt, mimo_z, mimo_o, weight, out: gated },
    { ...shape, seqlen: 1, label: `${label}.mixer.gate` },
  );
}

/** From in_proj's output to what out_proj reads. */
function recordRecurrence<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba3Config,
  { weights, state, activations }: Mamba3Tensors<K>,
  { batch, seqlen, chunk = 0, label }: HalfShape,
): void {
  const { zxBCdt, rates, thetas, vkq, y, gated, decays, CB, states } = activations;
  const shape = { ...config, batch, seqlen, eps: config.norm_epsilon };
  const { mimo_x, mimo_z, mimo_o, D, norm } = weights;
  ops.mamba3Inputs(
    program,
    { ...weights, theta: state.theta, zxBCdt, rates, thetas, vkq },
    { ...shape, label: `${label}.mixer.inputs` },
  );
  const { ssm_state, k, v } = state;
  ops.mamba3Scan(
    program,
    { vkq, rates, zxBCdt, mimo_x, D, ssm_state, k, v, y, states, decays, CB },
    { ...shape, keep: chunk > 0, label: `${label}.mixer.scan` },
  );
  ops.mamba3GateFwd(
    program,
    { y, zxBCdt, mimo_z, mimo_o, weight: norm, out: gated },
    { ...shape, label: `${label}.mixer.gate` },
  );
}
