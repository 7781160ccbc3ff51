/** The S4D and the S4 mixer: their weights, and one block's forward as a list of ops. */

import type { S4Config } from "../../model/mixers/s4_fields.ts";
import {
  type S4Chunk,
  type S4DParameter,
  type S4Parameter,
  systemSize,
  tablePlaces,
  tableSize,
} from "../../model/s4_sizes.ts";
import { recordDropout } from "../dropout.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { HalfShape, HalfTensors, Part } from "../part.ts";
import type { WeightLookup } from "../weights.ts";
import { s4Training } from "./s4_bwd.ts";
import { part, recordConv } from "./s4_conv.ts";

/** Weights of one mixer, by their names. */
export interface S4Weights<K extends PassKinds> {
  /** Of S4D. */
  readonly diagonal: Readonly<Record<S4DParameter, K["tensor"]>> | undefined;
  /** Of S4. */
  readonly lowRank: Readonly<Record<S4Parameter, K["tensor"]>> | undefined;
  /** (d_state / 2, 2, d_model). */
  readonly C: K["tensor"];
  /** (d_model). */
  readonly D: K["tensor"];
  /** What one step does, made of the parameters. */
  readonly system: K["tensor"];
  /** What a chunk of steps does. */
  readonly table: K["tensor"];
  /** (2 d_model, d_model), rows [value, gate]. */
  readonly out: K["matrix"];
  readonly out_bias: K["tensor"];
}

/** Name of what it carries from step to step. */
export type S4State = "ssm_state";

/** Names of activations inside a block. */
export type S4Activation =
  /** The states before chunks of a sequence, where nothing else keeps them. */
  | "states"
  /** The layer's output (rows, d_model). */
  | "y"
  /** GELU of it, without what is dropped (rows, d_model). */
  | "activated"
  /** What the gated linear unit is made of (rows, [value, gate]). */
  | "out";

type S4Tensors<K extends PassKinds> = HalfTensors<K, S4Weights<K>, S4State, S4Activation>;

/** Sizes of a chunk on an executor. */
export function chunkOf<K extends PassKinds>(
  ops: OpSet<K>,
  { d_model, d_state, model_type }: S4Config,
): S4Chunk {
  return { d_model, d_state, chunk: ops.S4_CHUNK, lowRank: model_type === "s4" };
}

/** How either runs over the ops of an executor. */
export function s4<K extends PassKinds>(
  ops: OpSet<K>,
): Part<K, S4Config, S4Weights<K>, S4State, S4Activation> {
  return {
    weights: (config, lookup) => s4Weights(ops, config, lookup),

    activationSizes({ d_model, d_state, mode }, { rows, keepsStates = false }) {
      // One before each chunk, one after the last, and one after what is left: at most three for each whole chunk.
      const slots = 3 * rows / ops.S4_CHUNK;
      return {
        states: keepsStates || mode === "recurrent" ? 0 : Math.floor(slots * d_state * d_model),
        y: rows * d_model,
        activated: rows * d_model,
        out: 2 * rows * d_model,
      };
    },

    together: [],

    forward(program, config, tensors, shape) {
      const { d_model, norm_epsilon: eps } = config;
      const { norm, weights, residual, normed, activations, output, within } = tensors;
      const { y, activated, out } = activations;
      const { batch, seqlen, chunk, label } = shape;
      const rows = batch * seqlen;
      // A step's products are those of a step, alone and in company.
      const isShort = shape.isStep || batch <= ops.MATVEC_MAX_ROWS;
      const isStep = !chunk && seqlen === 1 && isShort;
      ops.rmsNormFwd(program, { x: residual, weight: norm, y: normed }, {
        ...{ rows, d_model, eps, label: `${label}.norm` },
      });
      recordLayer(ops, program, config, tensors, shape);
      const size = rows * d_model;
      // What the product writes to is free before it.
      const whole = within === undefined ? activated : out.view(0, [size]);
      ops.geluFwd(program, { x: y, y: whole }, { size, label: `${label}.mixer.gelu` });
      if (within !== undefined) {
        recordDropout(ops, program, within, { x: whole, y: activated }, {
          ...{ size, label: `${label}.mixer.dropout` },
        });
      }
      const product = isStep ? ops.matvecFwd : ops.linearFwd;
      product(
        program,
        { x: activated, weight: weights.out, bias: weights.out_bias, y: out },
        { rows, label: `${label}.mixer.out` },
      );
      ops.gluFwd(program, { x: out, y: output ?? residual }, {
        ...{ rows, d_model, accumulate: output === undefined, label: `${label}.mixer.glu` },
      });
    },

    training: s4Training(ops),
  };
}

function s4Weights<K extends PassKinds>(
  ops: OpSet<K>,
  config: S4Config,
  { matrix, vector, derived }: WeightLookup<K>,
): S4Weights<K> {
  const shape = chunkOf(ops, config);
  const { d_model, d_state, chunk, lowRank } = shape;
  const make = (
    name: string,
    size: number,
    record: (program: K["program"], tensor: K["tensor"]) => void,
  ): K["tensor"] => {
    const tensor = derived?.(name, [size], record);
    if (tensor === undefined) throw new TypeError(`Cannot run S4: nothing derives its ${name}`);
    return tensor;
  };
  const log_step = vector("log_step");
  const [C, D] = [vector("C"), vector("D")];
  const diagonal = lowRank ? undefined : { A_re: vector("A_re"), A_im: vector("A_im"), log_step };
  const ofLowRank = lowRank
    ? {
      Lambda_re: vector("Lambda_re"),
      Lambda_im: vector("Lambda_im"),
      P: vector("P"),
      B: vector("B"),
      log_step,
    }
    : undefined;
  const system = make("system", systemSize(shape), (program, tensor) => {
    const sizes = { d_model, d_state, label: "system" };
    if (diagonal !== undefined) ops.s4dSystem(program, { ...diagonal, system: tensor }, sizes);
    if (ofLowRank !== undefined) ops.s4System(program, { ...ofLowRank, system: tensor }, sizes);
  });
  const table = make("table", tableSize(shape), (program, tensor) => {
    ops.s4Series(program, { system, C, D, table: tensor }, { ...shape, label: "table" });
    if (!lowRank) return;
    const E = part<K>(tensor, tablePlaces(shape).E);
    ops.s4Power(program, { system, E }, { d_model, d_state, steps: chunk, label: "table" });
  });
  return {
    ...{ diagonal, lowRank: ofLowRank, C, D, system, table },
    out: matrix("out.weight"),
    out_bias: vector("out.bias"),
  };
}

/** The layer itself: `normed` to `y`, and the state moves on. Whole chunks go by convolution, and what is left by steps. */
function recordLayer<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  config: S4Config,
  { weights, state: { ssm_state }, normed: u, activations }: S4Tensors<K>,
  { batch, seqlen, isStep = false, chunk: kept = 0, label: half }: HalfShape,
): void {
  const shape = { ...chunkOf(ops, config), batch, seqlen, label: `${half}.mixer.layer` };
  const { d_model, d_state, chunk } = shape;
  const { system, C, D, table } = weights;
  const { y } = activations;
  const isConv = config.mode === "conv" && seqlen >= chunk && !isStep;
  const slots = isConv || kept > 0 ? Math.ceil(seqlen / chunk) + 1 : 1;
  const size = d_state * d_model;
  const isLent = isConv && kept === 0;
  const states = isLent ? activations.states.view(0, [batch * slots * size]) : ssm_state;
  const only = { tensor: ssm_state, slots: 1, slot: 0 };
  if (isLent) {
    const to = { tensor: states, slots, slot: 0 };
    ops.stateCopy(program, { from: only, to }, { batch, size, label: `${half}.take_state` });
  }
  if (isConv) recordConv(ops, program, { u, table, states, y }, { ...shape, slots });
  const first = isConv ? seqlen - seqlen % chunk : 0;
  if (first < seqlen) {
    ops.s4Scan(program, { system, C, D, u, states, y }, { ...shape, first, slots });
  }
  if (isLent) {
    const from = { tensor: states, slots, slot: slots - 1 };
    ops.stateCopy(program, { from, to: only }, { batch, size, label: `${half}.leave_state` });
  }
}
