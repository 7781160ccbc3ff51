/** How blocks of the moving average run, over whichever executor has its op. */

import type { OpSet } from "../../../src/passes/op_set.ts";
import type { Named, Op, Sizes } from "../../../src/passes/ops/op.ts";
import type { PassKinds } from "../../../src/passes/kinds.ts";
import type { Part } from "../../../src/passes/part.ts";
import type { EmaConfig } from "./ema.ts";

/** The ops that it needs. */
export interface EmaOps<K extends PassKinds> extends Pick<OpSet<K>, "rmsNormFwd"> {
  /** y = the average of x (batch, seqlen, d_model), or with `accumulate` y += it; `average` moves on. */
  readonly emaFwd: Op<
    K,
    Named<"x" | "decay" | "average" | "y", K["tensor"]>,
    Sizes<"batch" | "seqlen" | "d_model"> & { readonly accumulate: boolean }
  >;
}

/** The passes that go with the descriptor. */
export function emaPart<K extends PassKinds>(
  ops: EmaOps<K>,
): Part<K, EmaConfig, { readonly decay: K["tensor"] }, "average", never> {
  return {
    weights: (_, { vector }) => ({ decay: vector("decay") }),
    activationSizes: () => ({}),
    together: [],
    forward(program, { d_model, norm_epsilon: eps }, tensors, { batch, seqlen, label }) {
      const { norm, weights, state, residual, normed, output } = tensors;
      ops.rmsNormFwd(
        program,
        { x: residual, weight: norm, y: normed },
        { rows: batch * seqlen, d_model, eps, label: `${label}.norm` },
      );
      ops.emaFwd(
        program,
        { x: normed, decay: weights.decay, average: state.average, y: output ?? residual },
        { batch, seqlen, d_model, accumulate: output === undefined, label: `${label}.mixer.ema` },
      );
    },
  };
}
