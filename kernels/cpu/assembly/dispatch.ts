// Which function computes which op: one line an op.

import { OpKind } from "../op_kind";
import { kindOf } from "./record";
import { embeddingFwd } from "./embedding_fwd";

/** Computes items [begin, end) of the op at `rec`. */
export function dispatch(rec: usize, begin: u32, end: u32): void {
  switch (kindOf(rec)) {
    case OpKind.embedding_fwd:
      return embeddingFwd(rec, begin, end);
    default:
      unreachable();
  }
}
