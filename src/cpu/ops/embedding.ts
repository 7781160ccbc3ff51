/** embedding_fwd: token ids to rows of a table. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { WeightDType } from "../../../kernels/cpu/weight_dtype.ts";
import type { CpuMatrix } from "../matrix.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import { requireSize } from "./require_size.ts";

/**
 * y (batch, seqlen, d_model) = weight[ids]; ids (batch, seqlen) must be below the number of rows.
 *
 * @param tensors With `seen` (batch, ceil(rows / 32)) the ids are noted in it.
 */
export function embeddingFwd(
  program: CpuProgram,
  tensors: { ids: CpuTensor; weight: CpuMatrix; y: CpuTensor; seen?: CpuTensor },
  shape: { batch: number; seqlen: number; label: string },
): void {
  const { ids, weight, y, seen } = tensors;
  const { batch, seqlen, label } = shape;
  const seenWords = Math.ceil(weight.rows / 32);
  requireSize(label, "ids", ids, batch * seqlen);
  requireSize(label, "y", y, batch * seqlen * weight.columns);
  if (seen !== undefined) requireSize(label, "seen", seen, batch * seenWords);
  program.add({
    kind: OpKind.embedding_fwd,
    items: batch,
    grain: 1,
    args: [
      ...[ids.address, weight.address, y.address, seen?.address ?? 0, WeightDType[weight.dtype]],
      ...[weight.columns, seqlen, seenWords],
    ],
    label,
  });
}
