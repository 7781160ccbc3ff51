/** gated_rms_norm_bwd: the gradients of Mamba-2's norm and gate. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../../model/shapes.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import type { GatedRmsNormShape } from "../gated_rms_norm.ts";
import { MAX_PARTS } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { sumPartials } from "./sum_partials.ts";

function rowsPerPart(rows: number): number {
  return Math.ceil(rows / MAX_PARTS);
}

/** Number of rows of partials (parts, d_inner) that {@linkcode gatedRmsNormBwd} needs for `rows` rows. */
export function gatedRmsNormBwdParts(rows: number): number {
  return Math.ceil(rows / rowsPerPart(rows));
}

/**
 * Gradients of gatedRmsNormFwd(): grad_out (rows, d_inner) becomes grad_y in place, and the columns of grad_z are written.
 *
 * @param tensors `norm` is absent where the forward had no weight; its partials is scratch of at least
 * ({@linkcode gatedRmsNormBwdParts}(rows), d_inner).
 * @param shape Row r of grad_z starts at element `gradZOffset + r * ldGradZ` (default: rows lie back to back).
 * `accumulate` (default false) adds to grad_weight.
 */
export function gatedRmsNormBwd(
  program: CpuProgram,
  tensors: {
    y: CpuTensor;
    z: CpuTensor;
    grad_out: CpuTensor;
    grad_z: CpuTensor;
    norm?: { weight: CpuTensor; partials: CpuTensor; grad_weight: CpuTensor } | undefined;
  },
  shape: GatedRmsNormShape & {
    ldGradZ?: number;
    gradZOffset?: number;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { y, z, grad_out, grad_z, norm } = tensors;
  const { rows, d_inner, group_size, eps, norm_before_gate, accumulate = false, label } = shape;
  const { ldZ = d_inner, zOffset = 0, ldGradZ = d_inner, gradZOffset = 0 } = shape;
  const parts = gatedRmsNormBwdParts(rows);
  requireSize(label, "y", y, rows * d_inner);
  requireSize(label, "z", z, zOffset + (rows - 1) * ldZ + d_inner);
  requireSize(label, "grad_out", grad_out, rows * d_inner);
  requireSize(label, "grad_z", grad_z, gradZOffset + (rows - 1) * ldGradZ + d_inner);
  if (norm !== undefined) {
    requireSize(label, "weight", norm.weight, d_inner);
    requireSize(label, "partials", norm.partials, parts * d_inner);
  }
  program.add({
    kind: OpKind.gated_rms_norm_bwd,
    items: parts * (d_inner / group_size),
    grain: 1,
    args: [
      ...[y.address, z.address + zOffset * 4, ldZ, norm?.weight.address ?? 0, grad_out.address],
      ...[grad_z.address + gradZOffset * 4, ldGradZ, norm?.partials.address ?? 0, rows, d_inner],
      ...[group_size, floatBits(eps), Number(norm_before_gate), rowsPerPart(rows)],
    ],
    scratchBytes: 2 * roundUp(group_size, 4) * 4,
    label,
  });
  if (norm === undefined) return;
  sumPartials(program, { partials: norm.partials, y: norm.grad_weight }, {
    ...{ parts, size: d_inner, accumulate, label },
  });
}
