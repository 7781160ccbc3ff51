/**
 * The ops that models are made of, by the names and shapes of src/ops: each executor gives its own.
 *
 * What they compute, and what each tensor holds, is documented there. Programs, tensors and matrices are the executor's.
 */

import type { Kinds } from "./kinds.ts";
import type { HeadOps } from "./ops/head_ops.ts";
import type { LinearOps } from "./ops/linear_ops.ts";
import type { Mamba1Ops } from "./ops/mamba1_ops.ts";
import type { Mamba2Ops } from "./ops/mamba2_ops.ts";
import type { Mamba3Ops } from "./ops/mamba3_ops.ts";
import type { RowOps } from "./ops/row_ops.ts";
import type { S4Ops } from "./ops/s4_ops.ts";
import type { UpdateOps } from "./ops/update_ops.ts";

/** All ops, and the sizes of the scratch that they need. */
export interface OpSet<K extends Kinds>
  extends
    LinearOps<K>,
    RowOps<K>,
    Mamba1Ops<K>,
    Mamba2Ops<K>,
    Mamba3Ops<K>,
    S4Ops<K>,
    HeadOps<K>,
    UpdateOps<K> {
  /**
   * Whether backward computes again what takes little, where it takes as long to read; if not, all is kept. See
   * `recomputed` of a part's training.
   */
  readonly recomputes: boolean;
}
