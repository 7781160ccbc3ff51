/** cross_entropy: loss and gradient of logits, in one. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/cross_entropy.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";

/** The kernel. */
export const crossEntropyKernel = defineKernel({
  name: "cross_entropy",
  source,
  bindings: { logits: "read_write", targets: "read", loss: "write" },
  params: { rows: "u32", scale: "f32" },
  overrides: ["VOCAB_SIZE", "REAL_VOCAB_SIZE", "SMOOTHING", "LANES"],
  sizes: ({ VOCAB_SIZE, rows }) => ({ logits: rows * VOCAB_SIZE, targets: rows, loss: rows }),
});

/**
 * loss (rows), in nats and unscaled, of targets (rows) under logits (rows, vocab_size), which become their gradient.
 *
 * @param tensors A target is below real_vocab_size, or IGNORED: then loss and gradient are 0.
 * @param shape `scale` is the gradient's factor: 1 / (number of rows that are not ignored) for their mean. Columns from
 * `real_vocab_size` on have no probability and gradient 0. `smoothing` (default 0) is the share of the wanted probability
 * that is spread over all columns: label smoothing.
 */
export function crossEntropy(
  program: Program,
  tensors: { logits: Tensor; targets: Tensor; loss: Tensor },
  shape: {
    rows: number;
    vocab_size: number;
    real_vocab_size: number;
    smoothing?: number;
    scale: number;
    label: string;
  },
): void {
  const { rows, vocab_size, real_vocab_size, smoothing = 0, scale, label } = shape;
  // A small vocabulary would leave most lanes of a wide workgroup idle.
  const lanes = vocab_size <= 128 ? 32 : vocab_size <= 512 ? 64 : 256;
  program.add(crossEntropyKernel, {
    tensors,
    overrides: {
      VOCAB_SIZE: vocab_size,
      REAL_VOCAB_SIZE: real_vocab_size,
      SMOOTHING: smoothing,
      LANES: lanes,
    },
    params: { rows, scale },
    workgroups: foldWorkgroups(rows),
    label,
  });
}
