/** gated_rms_norm_fwd: Mamba-2's norm and gate of the recurrence's output. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Sizes and order of a gated norm. */
export interface GatedRmsNormShape {
  readonly rows: number;
  readonly d_inner: number;
  /** Columns that are normalized together; divides d_inner. */
  readonly group_size: number;
  readonly eps: number;
  /** Whether out = norm(y) silu(z), instead of norm(y silu(z)). */
  readonly norm_before_gate: boolean;
  /** From row to row of z; default d_inner. */
  readonly ldZ?: number;
  /** First element of z; default 0. */
  readonly zOffset?: number;
}

/**
 * out (rows, d_inner) = the norm of y with the gate z, times weight. Without a weight there is no norm: out = y silu(z).
 */
export function gatedRmsNormFwd(
  program: CpuProgram,
  tensors: { y: CpuTensor; z: CpuTensor; weight?: CpuTensor | undefined; out: CpuTensor },
  shape: GatedRmsNormShape & { label: string },
): void {
  const { y, z, weight, out } = tensors;
  const { rows, d_inner, group_size, eps, norm_before_gate, label } = shape;
  const { ldZ = d_inner, zOffset = 0 } = shape;
  requireSize(label, "y", y, rows * d_inner);
  requireSize(label, "z", z, zOffset + (rows - 1) * ldZ + d_inner);
  requireSize(label, "out", out, rows * d_inner);
  if (weight !== undefined) requireSize(label, "weight", weight, d_inner);
  program.add({
    kind: OpKind.gated_rms_norm_fwd,
    items: rows * (d_inner / group_size),
    grain: rowsGrain(4 * group_size),
    args: [
      ...[y.address, z.address + zOffset * 4, ldZ, weight?.address ?? 0, out.address],
      ...[d_inner, group_size, floatBits(eps), Number(norm_before_gate)],
    ],
    label,
  });
}
