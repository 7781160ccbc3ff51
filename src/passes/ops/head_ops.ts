/** What is done to logits. */

import type { Kinds } from "../kinds.ts";
import type { Named, Op, Options, Sizes } from "./op.ts";

type VocabSizes = Sizes<"vocab_size" | "real_vocab_size">;

/** What is done to logits. */
export interface HeadOps<K extends Kinds> {
  readonly sampleFwd: Op<
    K,
    Named<"settings" | "logits" | "seen" | "tokens" | "draws" | "ring", K["tensor"]>,
    VocabSizes & Sizes<"batch">
  >;
  readonly tokenScoreFwd: Op<
    K,
    Named<"logits" | "targets" | "y", K["tensor"]>,
    VocabSizes & Sizes<"rows">
  >;
  readonly crossEntropy: Op<
    K,
    Named<"logits" | "targets" | "loss", K["tensor"]>,
    VocabSizes & Sizes<"rows" | "scale"> & Options<"smoothing">
  >;
}
