/** Whole models of S4D and S4 in float64: linear inputs, and the logits of every step. */

import { at } from "./at.ts";
import { matmulFwd } from "./matmul.ts";
import { rmsNormFwd } from "./rms_norm.ts";
import { gelu, s4dSystem, s4Scan, s4System } from "./s4.ts";

/** Sizes of a model. */
export interface S4ModelSizes {
  readonly model_type: "s4d" | "s4";
  readonly d_model: number;
  readonly d_state: number;
  readonly n_layer: number;
  readonly norm_epsilon: number;
  readonly d_input: number;
  readonly outputs: number;
}

/** What training drops of x (rows, d_model): within a layer after GELU, or of what it adds to the residual stream. */
export type Drop = (
  place: { readonly layer: number; readonly isWithin: boolean },
  x: Float64Array,
) => Float64Array;

/** What one step of a layer is, of its parameters by name. */
export function systemOf(
  own: (name: string) => ArrayLike<number>,
  { model_type, d_model, d_state }: Pick<S4ModelSizes, "model_type" | "d_model" | "d_state">,
): Float64Array {
  const sizes = { d_model, d_state };
  const log_step = own("log_step");
  if (model_type === "s4d") {
    return s4dSystem({ A_re: own("A_re"), A_im: own("A_im"), log_step }, sizes);
  }
  const [Lambda_re, Lambda_im] = [own("Lambda_re"), own("Lambda_im")];
  return s4System({ Lambda_re, Lambda_im, P: own("P"), B: own("B"), log_step }, sizes);
}

/**
 * The logits of every step, and the state of each layer after the last.
 *
 * @param weights By official name.
 * @param inputs (seqlen, d_input), of one sequence that begins with zeros.
 * @param drop Default: nothing is dropped.
 */
export function s4ModelFwd(
  weights: (name: string) => ArrayLike<number>,
  config: S4ModelSizes,
  inputs: ArrayLike<number>,
  drop: Drop = (_, x) => x,
): { logits: Float64Array; states: Float64Array[] } {
  const { d_model, d_state, n_layer, norm_epsilon: eps, d_input, outputs, model_type } = config;
  const seqlen = inputs.length / d_input;
  const rows = seqlen;
  let x = matmulFwd(
    inputs,
    weights("backbone.input_proj.weight"),
    weights("backbone.input_proj.bias"),
    { rows, in: d_input, out: d_model },
  );
  const states: Float64Array[] = [];
  for (let layer = 0; layer < n_layer; layer++) {
    const prefix = `backbone.layers.${layer}.`;
    const own = (name: string) => weights(`${prefix}mixer.${name}`);
    const u = rmsNormFwd(x, weights(`${prefix}norm.weight`), { rows, d_model, eps });
    const system = systemOf(own, config);
    const state = new Float64Array(d_state * d_model);
    const { y, states: all } = s4Scan({ system, C: own("C"), D: own("D"), u, state }, {
      ...{ d_model, d_state, batch: 1, seqlen, lowRank: model_type === "s4" },
    });
    const activated = drop({ layer, isWithin: true }, y.map(gelu));
    const out = matmulFwd(activated, own("out.weight"), own("out.bias"), {
      ...{ rows, in: d_model, out: 2 * d_model },
    });
    const added = x.map((_, i) => {
      const place = Math.floor(i / d_model) * 2 * d_model + i % d_model;
      return at(out, place) / (1 + Math.exp(-at(out, place + d_model)));
    });
    const kept = drop({ layer, isWithin: false }, added);
    x = x.map((value, i) => value + at(kept, i));
    states.push(at(all, seqlen));
  }
  const normed = rmsNormFwd(x, weights("backbone.norm_f.weight"), { rows, d_model, eps });
  const logits = matmulFwd(normed, weights("classifier.weight"), undefined, {
    ...{ rows, in: d_model, out: outputs },
  });
  return { logits, states };
}
