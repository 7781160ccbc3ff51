/** What Mamba-3 is made of. */

import type { Mamba3Options, Mamba3Sizes } from "../../model/mamba3_sizes.ts";
import type { Kinds } from "../kinds.ts";
import type { ActivationSize, Named, Op, Optional, Sizes } from "./op.ts";

type Mamba3Shape = Mamba3Sizes & Sizes<"batch" | "seqlen">;

/** See {@linkcode Mamba3Ops}: y of one step, gated or not; kq is scratch (batch, nheads, 2, d_state). */
export type Mamba3Step<K extends Kinds> = Op<
  K,
  & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "B_bias" | "C_bias" | "D", K["tensor"]>
  & Named<"theta" | "ssm_state" | "k" | "v" | "kq" | "y", K["tensor"]>
  & Optional<"mimo_x", K["tensor"]>,
  Mamba3Sizes & Mamba3Options & Sizes<"batch" | "eps"> & { readonly gated: boolean }
>;

/** What Mamba-3's ops read of in_proj's output, and of weights. */
type Mamba3Sources<K extends Kinds> =
  & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "rates" | "thetas" | "vkq", K["tensor"]>
  & Optional<"mimo_x", K["tensor"]>;

/** What Mamba-3 is made of. */
export interface Mamba3Ops<K extends Kinds> {
  readonly mamba3Inputs: Op<
    K,
    & Named<"zxBCdt" | "dt_bias" | "B_norm" | "C_norm" | "B_bias" | "C_bias", K["tensor"]>
    & Named<"theta" | "rates" | "thetas" | "vkq", K["tensor"]>
    & Optional<"mimo_x", K["tensor"]>,
    Mamba3Shape & Mamba3Options & Sizes<"eps">
  >;
  readonly mamba3Scan: Op<
    K,
    & Named<"vkq" | "rates" | "zxBCdt" | "D" | "ssm_state" | "k" | "v" | "y", K["tensor"]>
    & Named<"states" | "decays" | "CB", K["tensor"]>
    & Optional<"mimo_x", K["tensor"]>,
    Mamba3Shape & { readonly keep?: boolean }
  >;
  /** Elements of what mamba3Scan() works in, 0 where it needs none of it. */
  readonly mamba3ScanScratch: (
    sizes: Mamba3Sizes,
    size: ActivationSize,
  ) => Sizes<"states" | "decays" | "CB">;
  /**
   * A single step in fewer ops, of an executor that gains by it: a GPU, by each dispatch less. The CPU's ops take one step
   * after the other as they are, and a state is little beside the weights that a step reads.
   */
  readonly mamba3Steps?: {
    readonly takes: (sizes: Mamba3Sizes) => boolean;
    readonly record: Mamba3Step<K>;
  };
  readonly mamba3ScanBwd: Op<
    K,
    & Named<"vkq" | "rates" | "D" | "k" | "v" | "states" | "grad_y" | "grad_vkq", K["tensor"]>
    & Named<"grad_rates" | "grad_D" | "grad_state" | "decays" | "CB" | "grad_CB", K["tensor"]>
    & Named<"grad_states" | "sums" | "skips" | "partials", K["tensor"]>
    & Optional<"mimo_x" | "grad_mimo_x", K["tensor"]>,
    Mamba3Shape
  >;
  readonly mamba3ScanBwdScratch: (
    shape: Mamba3Shape,
  ) => Sizes<"grad_CB" | "grad_states" | "sums" | "skips" | "partials">;
  readonly mamba3InputsBwd: Op<
    K,
    & Mamba3Sources<K>
    & Named<"grad_vkq" | "grad_rates" | "grad_zxBCdt" | "grad_dt_bias" | "grad_B_norm", K["tensor"]>
    & Named<"grad_C_norm" | "grad_B_bias" | "grad_C_bias" | "grad_thetas", K["tensor"]>
    & Named<"norm_rows" | "dt_rows" | "vkq_sums" | "partials", K["tensor"]>
    & Optional<"grad_mimo_x", K["tensor"]>,
    Mamba3Shape & Mamba3Options & Sizes<"eps">
  >;
  readonly mamba3GateBwd: Op<
    K,
    & Named<"y" | "zxBCdt" | "grad_out" | "grad_zxBCdt" | "partials", K["tensor"]>
    & Optional<"mimo_z" | "mimo_o" | "weight", K["tensor"]>
    & Optional<"grad_mimo_z" | "grad_mimo_o" | "grad_weight", K["tensor"]>,
    Mamba3Shape & Sizes<"eps">
  >;
  readonly mamba3GateFwd: Op<
    K,
    & Named<"y" | "zxBCdt" | "out", K["tensor"]>
    & Optional<"mimo_z" | "mimo_o" | "weight", K["tensor"]>,
    Mamba3Shape & Sizes<"eps">
  >;
}
