/** token_score_fwd: log-probability, rank and entropy of targets. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** y (rows, 3) = log-probability, rank and entropy of targets (rows) under logits (rows, vocab_size). */
export function tokenScoreFwd(
  program: CpuProgram,
  tensors: { logits: CpuTensor; targets: CpuTensor; y: CpuTensor },
  shape: { rows: number; vocab_size: number; real_vocab_size: number; label: string },
): void {
  const { logits, targets, y } = tensors;
  const { rows, vocab_size, real_vocab_size, label } = shape;
  requireSize(label, "logits", logits, rows * vocab_size);
  requireSize(label, "targets", targets, rows);
  requireSize(label, "y", y, rows * 3);
  program.add({
    kind: OpKind.token_score_fwd,
    items: rows,
    grain: rowsGrain(8 * real_vocab_size),
    args: [logits.address, targets.address, y.address, vocab_size, real_vocab_size],
    label,
  });
}
