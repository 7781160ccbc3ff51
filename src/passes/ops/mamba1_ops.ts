/** What Mamba-1 is made of. */

import type { Kinds } from "../kinds.ts";
import type { Accumulate, ActivationSize, Named, Op, Optional, Options, Sizes } from "./op.ts";

type ConvSizes = Sizes<"batch" | "seqlen" | "d_inner" | "d_conv">;

type ScanSizes = Sizes<"batch" | "d_inner" | "d_state" | "dt_rank">;

type RatesSizes = Sizes<"d_inner" | "d_state">;

type ScanTensors<K extends Kinds> = Named<
  "u" | "dt" | "x_dbl" | "xz" | "A_log" | "D" | "ssm_state",
  K["tensor"]
>;

/** What Mamba-1 is made of; its convolution is Mamba-2's, too. */
export interface Mamba1Ops<K extends Kinds> {
  readonly conv1dFwd: Op<
    K,
    Named<"x" | "weight" | "conv_state" | "y", K["tensor"]> & Optional<"bias", K["tensor"]>,
    ConvSizes & Options<"ldX" | "xOffset">
  >;
  readonly conv1dBwd: Op<
    K,
    & Named<"x" | "weight" | "conv_state" | "grad_y" | "grad_x" | "grad_conv_state", K["tensor"]>
    & Named<"grad_weight" | "partials", K["tensor"]>
    & Optional<"bias" | "grad_final" | "grad_bias", K["tensor"]>,
    ConvSizes & Options<"ldX" | "xOffset" | "ldGradX" | "gradXOffset"> & Accumulate
  >;
  readonly conv1dBwdScratch: (shape: ConvSizes) => number;
  readonly dtBCNormFwd: Op<
    K,
    Named<"x_dbl" | "rstd", K["tensor"]>,
    Sizes<"rows" | "dt_rank" | "d_state" | "eps">
  >;
  readonly dtBCNormBwd: Op<
    K,
    Named<"x_dbl" | "rstd" | "grad_x_dbl", K["tensor"]>,
    Sizes<"rows" | "dt_rank" | "d_state">
  >;
  /** The largest d_state that scans take. */
  readonly MAX_SCAN_STATES: number;
  /** Steps from one state to the next that selectiveScanFwd() keeps. */
  readonly SCAN_CHUNK: number;
  readonly selectiveScanFwd: Op<
    K,
    ScanTensors<K> & Named<"y", K["tensor"]> & Optional<"rates" | "chunk_states", K["tensor"]>,
    ScanSizes & Sizes<"seqlen"> & { readonly keep?: boolean }
  >;
  /** Elements of what selectiveScanFwd() works in, 0 where it needs none of it. */
  readonly scanActivations: (
    sizes: Sizes<"d_inner" | "d_state">,
    size: ActivationSize,
  ) => Sizes<"chunk_states">;
  readonly selectiveScanStep: Op<
    K,
    & Named<"xz" | "x_dbl" | "dt_bias" | "A_log" | "D" | "ssm_state" | "y", K["tensor"]>
    & Optional<"rates", K["tensor"]>
    & { readonly dt_weight: K["matrix"] },
    ScanSizes & { readonly byRows?: boolean }
  >;
  /** What scans read in place of A_log, of an executor that makes it once for all of them. */
  readonly rates?: {
    readonly shapeOf: (sizes: RatesSizes) => readonly number[];
    readonly record: Op<K, Named<"A_log" | "rates", K["tensor"]>, RatesSizes>;
  };
  readonly selectiveScanBwd: Op<
    K,
    & ScanTensors<K>
    & Named<
      "grad_y" | "grad_xz" | "grad_x_dbl" | "grad_A_log" | "grad_D" | "grad_state",
      K["tensor"]
    >
    & Named<"partials_BC" | "partials_params", K["tensor"]>,
    ScanSizes & Sizes<"seqlen"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly scanBwdScratch: (
    shape: Sizes<"batch" | "seqlen" | "d_inner" | "d_state">,
  ) => Sizes<"partials_BC" | "partials_params">;
}
