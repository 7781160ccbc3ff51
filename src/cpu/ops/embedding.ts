/** embedding_fwd: token ids to rows of a table. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { WeightDType } from "../../../kernels/cpu/weight_dtype.ts";
import type { CpuMatrix } from "../machine/matrix.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { requireSize } from "./require_size.ts";

/** Elements that a thread copies at once. */
const CHUNK_ELEMENTS = 16384;

/**
 * y (batch, seqlen, d_model) = weight[ids]; ids (batch, seqlen) must be below the number of rows.
 *
 * @param tensors `seen` is a bitmap (batch, ceil(rows / 32)) in which the ids are noted, or absent.
 */
export function embeddingFwd(
  program: CpuProgram,
  tensors: { ids: CpuTensor; weight: CpuMatrix; seen?: CpuTensor | undefined; y: CpuTensor },
  shape: { batch: number; seqlen: number; label: string },
): void {
  const { ids, weight, seen, y } = tensors;
  const { batch, seqlen, label } = shape;
  const rows = batch * seqlen;
  requireSize(label, "ids", ids, rows);
  requireSize(label, "y", y, rows * weight.columns);
  if (seen !== undefined) requireSize(label, "seen", seen, batch * Math.ceil(weight.rows / 32));
  program.add({
    kind: OpKind.embedding_fwd,
    items: rows,
    grain: Math.ceil(CHUNK_ELEMENTS / weight.columns),
    args: [
      ids.address,
      weight.address,
      y.address,
      seen?.address ?? 0,
      WeightDType[weight.dtype],
      weight.columns,
      weight.rows,
      seqlen,
      weight.stride ?? 0,
    ],
    label,
  });
}
