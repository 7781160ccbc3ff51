/** What S4D and S4 are made of. */

import type {
  ChannelForm,
  ChannelProduct,
  Panel,
  S4Chunk,
  S4DParameter,
  S4Parameter,
  S4Sizes,
} from "../../model/s4_sizes.ts";
import type { Kinds } from "../kinds.ts";
import type { Accumulate, Named, Op, Sizes } from "./op.ts";

/** What S4D and S4 are made of. */
export interface S4Ops<K extends Kinds> {
  /** Steps of a chunk, which the convolution takes at a time. */
  readonly S4_CHUNK: number;
  readonly s4dSystem: Op<K, Named<S4DParameter | "system", K["tensor"]>, S4Sizes>;
  readonly s4dSystemBwd: Op<
    K,
    Named<S4DParameter | `grad_${S4DParameter}` | "grad_system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4System: Op<
    K,
    Named<S4Parameter | "system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4SystemBwd: Op<
    K,
    Named<"system" | "Lambda_re" | `grad_${S4Parameter}` | "grad_system", K["tensor"]>,
    S4Sizes
  >;
  readonly s4Power: Op<K, Named<"system" | "E", K["tensor"]>, S4Sizes & Sizes<"steps">>;
  readonly s4PowerBwd: Op<K, Named<"system" | "grad_Abar" | "grad_system", K["tensor"]>, S4Sizes>;
  readonly s4Series: Op<K, Named<"system" | "C" | "D" | "table", K["tensor"]>, S4Chunk>;
  readonly s4SeriesBwd: Op<
    K,
    & Named<"system" | "C" | "table" | "grad_table", K["tensor"]>
    & Named<"grad_system" | "grad_C" | "grad_D", K["tensor"]>,
    S4Chunk
  >;
  readonly s4dPass: Op<
    K,
    Named<"E" | "states", K["tensor"]>,
    S4Sizes & Sizes<"batch" | "slots" | "count"> & { readonly reverse: boolean }
  >;
  readonly s4dPassBwd: Op<
    K,
    Named<"states" | "grad_states" | "grad_E", K["tensor"]>,
    S4Sizes & Sizes<"batch" | "slots" | "gradSlots" | "count">
  >;
  readonly s4Scan: Op<
    K,
    Named<"system" | "C" | "D" | "u" | "states" | "y", K["tensor"]>,
    S4Chunk & Sizes<"batch" | "seqlen" | "first" | "slots">
  >;
  readonly channelMatmul: Op<
    K,
    Named<"x" | "weight" | "y", K["tensor"]>,
    & ChannelProduct
    & Accumulate
    & { readonly form: ChannelForm; readonly x: Panel; readonly y: Panel }
  >;
  readonly channelOuter: Op<
    K,
    Named<"p" | "q" | "partials" | "y", K["tensor"]>,
    ChannelProduct & Accumulate & { readonly p: Panel; readonly q: Panel }
  >;
  readonly channelOuterScratch: (shape: ChannelProduct) => number;
  readonly channelCorrelate: Op<
    K,
    Named<"p" | "q" | "partials" | "y", K["tensor"]>,
    Sizes<"batch" | "chunks" | "rows" | "d_model"> & { readonly panel: Panel }
  >;
  readonly channelCorrelateScratch: (
    shape: Sizes<"batch" | "chunks" | "rows" | "d_model">,
  ) => number;
  readonly geluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"size">>;
  readonly geluBwd: Op<K, Named<"x" | "grad", K["tensor"]>, Sizes<"size">>;
  readonly gluFwd: Op<K, Named<"x" | "y", K["tensor"]>, Sizes<"rows" | "d_model"> & Accumulate>;
  readonly gluBwd: Op<K, Named<"grad_y" | "x", K["tensor"]>, Sizes<"rows" | "d_model">>;
}
