/** The gated MLP of a block: its weights, and its forward as a list of ops. */

import type { MlpConfig } from "../../model/mixers/mlp.ts";
import type { PassKinds } from "../kinds.ts";
import type { OpSet } from "../op_set.ts";
import type { Part } from "../part.ts";
import { mlpTraining } from "./mlp_bwd.ts";

/** Weights, by their official names. */
export interface MlpWeights<K extends PassKinds> {
  /** (2 d_intermediate, d_model), rows [y, gate]. */
  readonly fc1: K["matrix"];
  /** (d_model, d_intermediate). */
  readonly fc2: K["matrix"];
}

/** Names of activations. */
export type MlpActivation =
  /** fc1's output (rows, 2 d_intermediate). */
  | "hidden"
  /** The same gated (rows, d_intermediate). */
  | "gated";

/** How it runs over the ops of an executor. */
export function mlp<K extends PassKinds>(
  ops: OpSet<K>,
): Part<K, MlpConfig, MlpWeights<K>, never, MlpActivation> {
  return {
    weights: (_, { matrix }) => ({ fc1: matrix("fc1.weight"), fc2: matrix("fc2.weight") }),

    activationSizes({ d_intermediate }, { rows }) {
      return { hidden: 2 * rows * d_intermediate, gated: rows * d_intermediate };
    },

    together: [],

    forward(program, config, tensors, shape) {
      const { d_model, d_intermediate: width, norm_epsilon: eps } = config;
      const { norm, weights: { fc1, fc2 }, residual, normed, activations, output } = tensors;
      const { hidden, gated } = activations;
      const { batch, seqlen, chunk = 0, label } = shape;
      const rows = batch * seqlen;
      const isShort = shape.isStep || batch <= ops.MATVEC_MAX_ROWS;
      const isStep = chunk === 0 && seqlen === 1 && isShort;
      const first = { rows, label: `${label}.fc1` };
      if (isStep) {
        const own = { norm: { weight: norm, eps } };
        ops.matvecFwd(program, { x: residual, weight: fc1, y: hidden }, first, own);
      } else {
        const normShape = { rows, d_model, eps, label: `${label}.norm` };
        ops.rmsNormFwd(program, { x: residual, weight: norm, y: normed }, normShape);
        ops.linearFwd(program, { x: normed, weight: fc1, y: hidden }, first);
      }
      ops.swigluFwd(program, { x: hidden, y: gated }, { rows, width, label: `${label}.gate` });
      const second = { rows, residual: output === undefined, label: `${label}.fc2` };
      const product = isStep ? ops.matvecFwd : ops.linearFwd;
      product(program, { x: gated, weight: fc2, y: output ?? residual }, second);
    },

    training: mlpTraining(ops),
  };
}
