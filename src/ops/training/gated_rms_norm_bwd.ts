/** gated_rms_norm_bwd: the gradients of Mamba-2's norm and gate. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import source from "../../../kernels/gated_rms_norm_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import type { GatedRmsNormShape } from "../gated_rms_norm.ts";
import { sumPartials } from "../sum_partials.ts";
import { placeholders } from "../placeholders.ts";

/** The kernel. */
export const gatedRmsNormBwdKernel = defineKernel({
  name: "gated_rms_norm_bwd",
  source,
  bindings: {
    y: "read",
    z: "read",
    weight: "read",
    grad_out: "read_write",
    grad_z: "write",
    partials: "write",
  },
  params: {
    rows: "u32",
    ld_z: "u32",
    z_offset: "u32",
    ld_grad_z: "u32",
    grad_z_offset: "u32",
    rows_per_part: "u32",
  },
  overrides: ["D_INNER", "GROUP_SIZE", "EPS", "NORM", "NORM_BEFORE_GATE"],
  sizes: (
    { D_INNER, NORM, rows, ld_z, z_offset, ld_grad_z, grad_z_offset },
    [parts],
  ) => ({
    y: rows * D_INNER,
    z: z_offset + (rows - 1) * ld_z + D_INNER,
    weight: NORM * D_INNER,
    grad_out: rows * D_INNER,
    grad_z: grad_z_offset + (rows - 1) * ld_grad_z + D_INNER,
    partials: NORM * parts * D_INNER,
  }),
});

/** The kernel's tile of rows. */
const TILE = 16;

/** Enough workgroups for a large device, and few enough that adding up their partials costs little. */
const MAX_PARTS = 512;

function rowsPerPart(rows: number): number {
  return Math.ceil(rows / (TILE * MAX_PARTS)) * TILE;
}

/** Number of rows of partials (parts, d_inner) that {@linkcode gatedRmsNormBwd} needs for `rows` rows: at most 512. */
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
  program: Program,
  tensors: {
    y: Tensor;
    z: Tensor;
    grad_out: Tensor;
    grad_z: Tensor;
    norm?: { weight: Tensor; partials: Tensor; grad_weight: Tensor } | undefined;
  },
  shape: GatedRmsNormShape & {
    ldGradZ?: number;
    gradZOffset?: number;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { rows, d_inner, group_size, eps, norm_before_gate, accumulate = false, label } = shape;
  const { ldZ = d_inner, zOffset = 0, ldGradZ = d_inner, gradZOffset = 0 } = shape;
  const { norm, ...bound } = tensors;
  const unused = placeholders(program.gpu);
  const parts = gatedRmsNormBwdParts(rows);
  program.add(gatedRmsNormBwdKernel, {
    tensors: {
      ...bound,
      weight: norm?.weight ?? unused.read,
      partials: norm?.partials ?? unused.write,
    },
    overrides: {
      D_INNER: d_inner,
      GROUP_SIZE: group_size,
      EPS: eps,
      NORM: norm !== undefined,
      NORM_BEFORE_GATE: norm_before_gate,
    },
    params: {
      rows,
      ld_z: ldZ,
      z_offset: zOffset,
      ld_grad_z: ldGradZ,
      grad_z_offset: gradZOffset,
      rows_per_part: rowsPerPart(rows),
    },
    workgroups: [parts, d_inner / group_size, 1],
    label,
  });
  if (norm === undefined) return;
  sumPartials(program, { partials: norm.partials, y: norm.grad_weight }, {
    parts,
    size: d_inner,
    accumulate,
    label,
  });
}
