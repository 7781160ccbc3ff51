/** What is done to each row, and over the rows of a sequence. */

import type { Kinds } from "../kinds.ts";
import type { Accumulate, Named, Op, Optional, Options, Sizes } from "./op.ts";

interface GatedNorm extends Sizes<"rows" | "d_inner" | "group_size" | "eps"> {
  readonly norm_before_gate: boolean;
  readonly ldZ?: number;
  readonly zOffset?: number;
}

type PoolSizes = Sizes<"batch" | "seqlen" | "d_model">;

/** What is done to each row, and over the rows of a sequence. */
export interface RowOps<K extends Kinds> {
  readonly embeddingFwd: Op<
    K,
    Named<"ids" | "y", K["tensor"]> & Optional<"seen", K["tensor"]> & {
      readonly weight: K["matrix"];
    },
    Sizes<"batch" | "seqlen">
  >;
  readonly embeddingBwd: Op<
    K,
    & Named<"ids" | "grad_y", K["tensor"]>
    & Optional<"partials", K["tensor"]>
    & { readonly grad_weight: K["matrix"] },
    Sizes<"rows"> & Accumulate
  >;
  readonly embeddingBwdParts: (rows: number, vocab_size: number) => number;
  readonly rmsNormFwd: Op<
    K,
    Named<"x" | "weight" | "y", K["tensor"]>,
    Sizes<"rows" | "d_model" | "eps"> & Options<"ldX" | "xOffset">
  >;
  readonly rmsNormBwd: Op<
    K,
    Named<"x" | "weight" | "grad_y" | "grad_x" | "partials" | "grad_weight", K["tensor"]>,
    & Sizes<"rows" | "d_model" | "eps">
    & Options<"ldX" | "xOffset">
    & { readonly accumulateX?: boolean; readonly accumulateWeight?: boolean }
  >;
  readonly rmsNormBwdParts: (rows: number) => number;
  readonly gatedRmsNormFwd: Op<
    K,
    Named<"y" | "z" | "out", K["tensor"]> & Optional<"weight", K["tensor"]>,
    GatedNorm
  >;
  readonly gatedRmsNormBwd: Op<
    K,
    Named<"y" | "z" | "grad_out" | "grad_z", K["tensor"]> & {
      readonly norm?: Named<"weight" | "partials" | "grad_weight", K["tensor"]> | undefined;
    },
    GatedNorm & Options<"ldGradZ" | "gradZOffset"> & Accumulate
  >;
  readonly gatedRmsNormBwdParts: (rows: number) => number;
  readonly swigluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"rows" | "width">>;
  readonly swigluBwd: Op<
    K,
    Named<"x" | "grad_y" | "grad_x", K["tensor"]>,
    Sizes<"rows" | "width">
  >;
  readonly meanPoolFwd: Op<K, Named<"x" | "pool_state" | "y", K["tensor"]>, PoolSizes>;
  readonly meanPoolBwd: Op<
    K,
    Named<"grad_y" | "grad_x", K["tensor"]>,
    PoolSizes & Options<"count">
  >;
  readonly lastStepBwd: Op<K, Named<"grad_y" | "grad_x", K["tensor"]>, PoolSizes>;
  readonly dropout: Op<
    K,
    Named<"x" | "draw" | "y", K["tensor"]>,
    Sizes<"size" | "probability" | "seed" | "site"> & Accumulate
  >;
}
