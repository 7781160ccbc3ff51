/** embedding_fwd: token ids to rows of a table. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/embedding_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { blockWords, type Matrix, W_DTYPE } from "./matrix.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel. */
export const embeddingFwdKernel = defineKernel({
  name: "embedding_fwd",
  source,
  preludes: ["_weight"],
  bindings: { ids: "read_write", weight: "read", seen: "read_write", y: "write" },
  params: { rows: "u32", seqlen: "u32" },
  overrides: ["D_MODEL", "W_STRIDE", "W_DTYPE", "ROW_START", "ROWS", "SEEN_WORDS"],
  sizes: ({ D_MODEL, W_STRIDE, W_DTYPE, ROWS, SEEN_WORDS, rows, seqlen }) => ({
    ids: rows,
    weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
    seen: rows / seqlen * SEEN_WORDS,
    y: rows * D_MODEL,
  }),
});

/** Workgroups a dimension holds on every device. */
const MAX_WORKGROUPS = 65535;

/**
 * y (batch, seqlen, d_model) = weight[ids]; ids (batch, seqlen) must be below the number of rows.
 *
 * @param tensors `seen` is a bitmap (batch, ceil(rows / 32)) in which the ids are noted, or absent.
 */
export function embeddingFwd(
  program: Program,
  tensors: { ids: Tensor; weight: Matrix; seen?: Tensor | undefined; y: Tensor },
  shape: { batch: number; seqlen: number; label: string },
): void {
  const { ids, weight, seen, y } = tensors;
  const rows = shape.batch * shape.seqlen;
  const rowsY = Math.min(rows, MAX_WORKGROUPS);
  for (const block of weight.blocks) {
    program.add(embeddingFwdKernel, {
      tensors: { ids, weight: block.tensor, seen: seen ?? placeholders(program.gpu).write, y },
      overrides: {
        D_MODEL: weight.columns,
        W_STRIDE: weight.stride,
        W_DTYPE: W_DTYPE[weight.dtype],
        ROW_START: block.rowStart,
        ROWS: block.rows,
        SEEN_WORDS: seen === undefined ? 0 : Math.ceil(weight.rows / 32),
      },
      params: { rows, seqlen: shape.seqlen },
      workgroups: [Math.ceil(weight.columns / 512), rowsY, Math.ceil(rows / rowsY)],
      label: shape.label,
    });
  }
}
