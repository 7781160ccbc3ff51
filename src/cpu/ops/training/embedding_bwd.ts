/** embedding_bwd: the gradient of an embedding table. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import type { CpuMatrix } from "../../machine/matrix.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { CHANNELS } from "../grain.ts";
import { rowsOf } from "./linear_bwd.ts";
import { requireSize } from "../require_size.ts";

/**
 * grad_weight (vocab_size, d_model) of y = embeddingFwd(ids, weight), from grad_y (rows, d_model).
 *
 * @param shape `accumulate` adds to grad_weight, as a table that is the head's weight too needs. Default: overwritten.
 * @throws {TypeError} If grad_weight is in panels.
 */
export function embeddingBwd(
  program: CpuProgram,
  tensors: { ids: CpuTensor; grad_y: CpuTensor; grad_weight: CpuMatrix },
  shape: { rows: number; accumulate?: boolean; label: string },
): void {
  const { ids, grad_y, grad_weight } = tensors;
  const { rows, accumulate = false, label } = shape;
  const { address, stride, columns, rows: vocab_size } = rowsOf(grad_weight, label);
  requireSize(label, "ids", ids, rows);
  requireSize(label, "grad_y", grad_y, rows * columns);
  program.add({
    kind: OpKind.embedding_bwd,
    items: Math.ceil(columns / CHANNELS),
    grain: 1,
    args: [
      ...[ids.address, grad_y.address, address, stride, rows, columns, vocab_size],
      Number(accumulate),
    ],
    label,
  });
}
