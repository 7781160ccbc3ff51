/** gated_rms_norm_fwd: Mamba-2's norm and gate of the recurrence's output. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/gated_rms_norm_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel. */
export const gatedRmsNormFwdKernel = defineKernel({
  name: "gated_rms_norm_fwd",
  source,
  bindings: { y: "read", z: "read", weight: "read", out: "write" },
  params: { rows: "u32", ld_z: "u32", z_offset: "u32" },
  overrides: ["D_INNER", "GROUP_SIZE", "EPS", "NORM", "NORM_BEFORE_GATE"],
  sizes: ({ D_INNER, NORM, rows, ld_z, z_offset }) => ({
    y: rows * D_INNER,
    z: z_offset + (rows - 1) * ld_z + D_INNER,
    weight: NORM * D_INNER,
    out: rows * D_INNER,
  }),
});

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
  program: Program,
  tensors: { y: Tensor; z: Tensor; weight?: Tensor | undefined; out: Tensor },
  shape: GatedRmsNormShape & { label: string },
): void {
  const { rows, d_inner, group_size, eps, norm_before_gate, label } = shape;
  const { ldZ = d_inner, zOffset = 0 } = shape;
  const rowsX = Math.min(rows, 65535);
  program.add(gatedRmsNormFwdKernel, {
    tensors: { ...tensors, weight: tensors.weight ?? placeholders(program.gpu).read },
    overrides: {
      D_INNER: d_inner,
      GROUP_SIZE: group_size,
      EPS: eps,
      NORM: tensors.weight !== undefined,
      NORM_BEFORE_GATE: norm_before_gate,
    },
    params: { rows, ld_z: ldZ, z_offset: zOffset },
    workgroups: [rowsX, Math.ceil(rows / rowsX), d_inner / group_size],
    label,
  });
}
