/** cross_entropy: loss and gradient of logits, in one. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../../model/shapes.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/**
 * loss (rows), in nats and unscaled, of targets (rows) under logits (rows, vocab_size), which become their gradient.
 *
 * @param tensors A target is below real_vocab_size, or IGNORED: then loss and gradient are 0.
 * @param shape `scale` is the gradient's factor: 1 / (number of rows that are not ignored) for their mean. Columns from
 * `real_vocab_size` on have no probability and gradient 0. `smoothing` (default 0) is the share of the wanted probability
 * that is spread over all columns: label smoothing.
 */
export function crossEntropy(
  program: CpuProgram,
  tensors: { logits: CpuTensor; targets: CpuTensor; loss: CpuTensor },
  shape: {
    rows: number;
    vocab_size: number;
    real_vocab_size: number;
    smoothing?: number;
    scale: number;
    label: string;
  },
): void {
  const { logits, targets, loss } = tensors;
  const { rows, vocab_size, real_vocab_size, smoothing = 0, scale, label } = shape;
  requireSize(label, "logits", logits, rows * vocab_size);
  requireSize(label, "targets", targets, rows);
  requireSize(label, "loss", loss, rows);
  program.add({
    kind: OpKind.cross_entropy,
    items: rows,
    grain: rowsGrain(4 * vocab_size),
    args: [
      ...[logits.address, targets.address, loss.address, vocab_size, real_vocab_size],
      ...[floatBits(smoothing), floatBits(scale)],
    ],
    scratchBytes: roundUp(real_vocab_size, 4) * 4,
    label,
  });
}
