/** Sums, copies and the step of training. */

import type { Kinds } from "../kinds.ts";
import type { Accumulate, Named, Op, Options, Sizes, StateSlot } from "./op.ts";

/** Sums, copies and the step of training. */
export interface UpdateOps<K extends Kinds> {
  readonly sumPartials: Op<
    K,
    Named<"partials" | "y", K["tensor"]>,
    Sizes<"parts" | "size"> & Accumulate
  >;
  readonly stateCopy: Op<
    K,
    { readonly from: StateSlot<K>; readonly to: StateSlot<K> },
    Sizes<"batch" | "size">
  >;
  readonly gradNorm: Op<
    K,
    Named<"gradients" | "partials" | "clip", K["tensor"]>,
    Sizes<"size" | "maxNorm">
  >;
  readonly adamwUpdate: Op<
    K,
    Named<"weight" | "grad" | "m" | "v" | "clip" | "schedule", K["tensor"]>,
    Sizes<"size" | "beta1" | "beta2" | "eps" | "weight_decay"> & Options<"rate">
  >;
}
