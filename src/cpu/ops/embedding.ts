/** embedding_fwd: token ids to rows of a table. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../program.ts";
import type { CpuTensor } from "../tensor.ts";
import { requireSize } from "./require_size.ts";

/** y (batch, seqlen, d_model) = weight[ids]; ids (batch, seqlen) must be below the number of rows. */
export function embeddingFwd(
  program: CpuProgram,
  tensors: { ids: CpuTensor; weight: CpuTensor; y: CpuTensor },
  shape: { batch: number; seqlen: number; label: string },
): void {
  const { ids, weight, y } = tensors;
  const { label } = shape;
  const rows = shape.batch * shape.seqlen;
  const d_model = weight.shape.at(-1) ?? 0;
  requireSize(label, "ids", ids, rows);
  requireSize(label, "y", y, rows * d_model);
  program.add({
    kind: OpKind.embedding_fwd,
    items: rows,
    grain: 1,
    args: [ids.address, weight.address, y.address, d_model],
    label,
  });
}
