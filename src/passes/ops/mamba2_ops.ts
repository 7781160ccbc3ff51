/** Mamba-2's recurrence. */

import type { SsdOptions, SsdSizes } from "../../model/ssd_sizes.ts";
import type { Kinds } from "../kinds.ts";
import type { Accumulate, ActivationSize, Named, Op, Optional, Options, Sizes } from "./op.ts";

type SsdShape = SsdSizes & SsdOptions & Sizes<"batch" | "seqlen">;

type SsdWeights<K extends Kinds> = Named<"xBC" | "zxbcdt" | "A_log" | "D" | "dt_bias", K["tensor"]>;

/** Mamba-2's recurrence. */
export interface Mamba2Ops<K extends Kinds> {
  /** Steps of a chunk in training: from one state that is kept to the next. */
  readonly SSD_CHUNK: number;
  /** Elements of what ssdFwd() works in, 0 where it needs none of it. */
  readonly ssdActivations: (
    sizes: SsdSizes,
    size: ActivationSize,
  ) => Sizes<"decays" | "CB" | "states">;
  readonly ssdStep: Op<
    K,
    SsdWeights<K> & Named<"ssm_state" | "y", K["tensor"]>,
    & SsdSizes
    & SsdOptions
    & Sizes<"batch">
    & Options<"ldXBC" | "xBCOffset">
    & { readonly gated?: boolean }
  >;
  readonly ssdFwd: Op<
    K,
    & SsdWeights<K>
    & Named<"ssm_state" | "y" | "decays" | "CB", K["tensor"]>
    & Optional<"states", K["tensor"]>,
    SsdShape & Options<"chunk">
  >;
  readonly ssdBwd: Op<
    K,
    & SsdWeights<K>
    & Named<
      "ssm_state" | "grad_y" | "grad_xBC" | "grad_zxbcdt" | "grad_A_log" | "grad_D",
      K["tensor"]
    >
    & Named<
      "grad_dt_bias" | "grad_state" | "decays" | "CB" | "grad_CB" | "grad_states",
      K["tensor"]
    >
    & Named<"sums" | "partials", K["tensor"]>,
    SsdShape & Sizes<"chunk"> & Accumulate & { readonly gradFinal?: boolean }
  >;
  readonly ssdBwdScratch: (
    shape: SsdShape & Sizes<"chunk">,
  ) => Sizes<"decays" | "CB" | "grad_CB" | "grad_states" | "sums" | "partials">;
}
