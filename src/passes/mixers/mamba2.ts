/** The Mamba-2 mixer: its weights, and one block's forward as a list of ops. */

import type { Mamba2Config } from "../../model/mixers/mamba2.ts";
import { ssdWidths } from "../../model/ssd_sizes.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfShape, HalfTensors, Part } from "../part.ts";
import type { WeightLookup } from "../weights.ts";
import { mamba2Training } from "./mamba2_bwd.ts";

/** Weights of one mixer, by their official names. d_in_proj and conv_dim are those of {@linkcode ssdWidths}. */
export interface Mamba2Weights<K extends PassKinds> {
  /** (d_in_proj, d_model), rows [z, x, B, C, dt]. */
  readonly in_proj: K["matrix"];
  readonly in_proj_bias: K["tensor"] | undefined;
  /** (conv_dim, d_conv), channels [x, B, C]; the last tap is for the current step. */
  readonly conv1d: K["tensor"];
  readonly conv1d_bias: K["tensor"] | undefined;
  /** (nheads); A = -exp(A_log). */
  readonly A_log: K["tensor"];
  /** (nheads), or (d_inner) with D_has_hdim. */
  readonly D: K["tensor"];
  /** (nheads). */
  readonly dt_bias: K["tensor"];
  /** Of the gated norm (d_inner); undefined without rmsnorm. */
  readonly norm: K["tensor"] | undefined;
  /** (d_model, d_inner). */
  readonly out_proj: K["matrix"];
  readonly out_proj_bias: K["tensor"] | undefined;
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
  | "gated"
  /** What ssdFwd() works in. */
  | "decays"
  | "CB"
  | "states";

type Mamba2Tensors<K extends PassKinds> = HalfTensors<
  K,
  Mamba2Weights<K>,
  Mamba2State,
  Mamba2Activation
>;

/** How it runs over the ops of an executor. */
export function mamba2<K extends PassKinds>(
  ops: OpSet<K>,
): Part<K, Mamba2Config, Mamba2Weights<K>, Mamba2State, Mamba2Activation> {
  return {
    weights: mamba2Weights,

    activationSizes(config, size) {
      const { rows } = size;
      const { d_inner, conv_dim, d_in_proj } = ssdWidths(config);
      return {
        zxbcdt: rows * d_in_proj,
        xBC: rows * conv_dim,
        y: rows * d_inner,
        gated: rows * d_inner,
        ...ops.ssdActivations(config, size),
      };
    },

    together: [],

    /**
     * A single step of few sequences takes three ops where the norm's group is the whole width: norm, in_proj and conv1d
     * in one; the recurrence, skip and gate; gated norm, out_proj and the residual.
     */
    forward(program, config, tensors, shape) {
      const isShort = shape.isStep || shape.batch <= ops.MATVEC_MAX_ROWS;
      const isStep = !shape.chunk && shape.seqlen === 1 && isShort;
      (isStep ? recordStep : recordSequence)(ops, program, config, tensors, shape);
    },

    training: mamba2Training(ops),
  };
}

function mamba2Weights<K extends PassKinds>(
  { use_bias, use_conv_bias, rmsnorm }: Mamba2Config,
  { matrix, vector }: WeightLookup<K>,
): Mamba2Weights<K> {
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

function recordStep<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  tensors: Mamba2Tensors<K>,
  shape: HalfShape,
): void {
  const { rmsnorm, norm_before_gate, ngroups, norm_epsilon: eps } = config;
  const { norm, weights, state, residual, activations } = tensors;
  const { d_inner, d_conv } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  const { batch, label } = shape;
  ops.matvecFwd(
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
  recordRecurrenceStep(ops, program, config, tensors, { ...shape, gated: isFused, xBC });
  if (!isFused) recordGatedNorm(ops, program, config, tensors, shape);
  ops.matvecFwd(
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

function recordSequence<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  tensors: Mamba2Tensors<K>,
  shape: HalfShape,
): void {
  const { d_model, norm_epsilon } = config;
  const { norm, weights, state, residual, normed, activations, output } = tensors;
  const { batch, seqlen, chunk = 0, label } = shape;
  const rows = batch * seqlen;
  ops.rmsNormFwd(
    program,
    { x: residual, weight: norm, y: normed },
    { rows, d_model, eps: norm_epsilon, label: `${label}.norm` },
  );
  ops.linearFwd(
    program,
    { x: normed, weight: weights.in_proj, bias: weights.in_proj_bias, y: activations.zxbcdt },
    { rows, label: `${label}.mixer.in_proj` },
  );
  recordConv1d(ops, program, config, tensors, shape);
  // Chunks of one step would compute what a step does, at the cost of a whole chunk each.
  if (seqlen === 1 && chunk === 0) {
    recordRecurrenceStep(ops, program, config, tensors, {
      ...shape,
      gated: false,
      xBC: { tensor: activations.xBC },
    });
  } else {
    const { xBC, zxbcdt, y, decays, CB, states } = activations;
    const { A_log, D, dt_bias } = weights;
    ops.ssdFwd(
      program,
      { xBC, zxbcdt, A_log, D, dt_bias, ssm_state: state.ssm_state, y, decays, CB, states },
      { ...config, batch, seqlen, chunk, label: `${label}.mixer.ssd` },
    );
  }
  recordGatedNorm(ops, program, config, tensors, shape);
  ops.linearFwd(
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
function recordConv1d<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  { weights, state, activations }: Mamba2Tensors<K>,
  { batch, seqlen, label }: HalfShape,
): void {
  const { d_inner, d_conv } = config;
  const { conv_dim, d_in_proj } = ssdWidths(config);
  ops.conv1dFwd(
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
function recordRecurrenceStep<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  { weights, state, activations }: Mamba2Tensors<K>,
  { batch, gated, xBC, label }: HalfShape & {
    readonly gated: boolean;
    readonly xBC: {
      readonly tensor: K["tensor"];
      readonly ldXBC?: number;
      readonly xBCOffset?: number;
    };
  },
): void {
  const { zxbcdt, y } = activations;
  const { A_log, D, dt_bias } = weights;
  const { tensor, ...place } = xBC;
  ops.ssdStep(
    program,
    { xBC: tensor, zxbcdt, A_log, D, dt_bias, ssm_state: state.ssm_state, y },
    { ...config, ...place, batch, gated, label: `${label}.mixer.ssd` },
  );
}

/** gated = y with the gate and, where the model has one, the norm. */
function recordGatedNorm<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: Mamba2Config,
  { weights, activations }: Mamba2Tensors<K>,
  { batch, seqlen, label }: HalfShape,
): void {
  const { d_inner, ngroups, norm_epsilon, norm_before_gate } = config;
  ops.gatedRmsNormFwd(
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
