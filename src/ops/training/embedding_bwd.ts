/** embedding_bwd: the gradient of an embedding table. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/embedding_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";
import type { Matrix } from "../matrix.ts";
import { sumPartials } from "../sum_partials.ts";

/** The kernel. */
export const embeddingBwdKernel = defineKernel({
  name: "embedding_bwd",
  source,
  bindings: { ids: "read", grad_y: "read", grad_weight: "read_write" },
  params: { rows: "u32", rows_per_part: "u32" },
  overrides: ["D_MODEL", "W_STRIDE", "VOCAB_SIZE", "ACCUMULATE"],
  sizes: ({ D_MODEL, W_STRIDE, VOCAB_SIZE, rows, rows_per_part }) => ({
    ids: rows,
    grad_y: rows * D_MODEL,
    grad_weight: Math.ceil(rows / rows_per_part) * VOCAB_SIZE * W_STRIDE,
  }),
});

/** Columns of a workgroup. */
const LANES = 256;

/** A part of fewer rows is not worth its partials. */
const MIN_ROWS_PER_PART = 512;

/** Vocabulary rows times parts: enough workgroups for a large device. */
const MAX_ROWS_OF_PARTIALS = 4096;

/** Parts into which `rows` rows are split for a vocabulary: 1, so that no partials are needed, for a large one. */
export function embeddingBwdParts(rows: number, vocab_size: number): number {
  const most = Math.max(1, Math.floor(MAX_ROWS_OF_PARTIALS / vocab_size));
  const rowsPerPart = Math.max(MIN_ROWS_PER_PART, Math.ceil(rows / most));
  return Math.ceil(rows / rowsPerPart);
}

/**
 * grad_weight (vocab_size, d_model) of y = embeddingFwd(ids, weight), from grad_y (rows, d_model).
 *
 * @param tensors `grad_weight` is f32 in one block. `partials` is scratch of at least
 * {@linkcode embeddingBwdParts}(rows, vocab_size) times the elements of grad_weight; not used where that is 1 part.
 * @param shape `accumulate` adds to grad_weight, as a table that is the head's weight too needs. Default: overwritten.
 * @throws {TypeError} If grad_weight is split or not f32, or partials are missing.
 */
export function embeddingBwd(
  program: Program,
  tensors: { ids: Tensor; grad_y: Tensor; partials?: Tensor | undefined; grad_weight: Matrix },
  shape: { rows: number; accumulate?: boolean; label: string },
): void {
  const { ids, grad_y, partials, grad_weight } = tensors;
  const { rows, accumulate = false, label } = shape;
  const [block, ...others] = grad_weight.blocks;
  if (block === undefined || others.length > 0 || grad_weight.dtype !== "f32") {
    throw new TypeError(
      `Cannot record ${label}: the gradient is ${grad_weight.dtype} in ` +
        `${grad_weight.blocks.length} blocks, and one block of f32 is needed`,
    );
  }
  const { rows: vocab_size, columns, stride } = grad_weight;
  const parts = embeddingBwdParts(rows, vocab_size);
  if (parts > 1 && partials === undefined) {
    throw new TypeError(`Cannot record ${label}: ${parts} parts need partials`);
  }
  const [x, y] = foldWorkgroups(vocab_size);
  program.add(embeddingBwdKernel, {
    tensors: { ids, grad_y, grad_weight: parts > 1 && partials ? partials : block.tensor },
    overrides: {
      D_MODEL: columns,
      W_STRIDE: stride,
      VOCAB_SIZE: vocab_size,
      ACCUMULATE: parts === 1 && accumulate,
    },
    params: { rows, rows_per_part: Math.ceil(rows / parts) },
    workgroups: [x, y, Math.ceil(stride / LANES) * parts],
    label,
  });
  if (parts > 1 && partials !== undefined) {
    const size = vocab_size * stride;
    sumPartials(program, { partials, y: block.tensor }, { parts, size, accumulate, label });
  }
}
