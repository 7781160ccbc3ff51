/** matvec_rows: what matvec_fwd computes, for the steps of some sequences at once. */

import type { Program } from "../gpu/program.ts";
import source from "../../kernels/matvec_rows.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { blockWords } from "./matrix.ts";
import type { MatvecBlock } from "./matvec_groups.ts";

/** The kernel. */
export const matvecRowsKernel = defineKernel({
  name: "matvec_rows",
  source,
  preludes: ["_weight", "_chains", "_matvec"],
  bindings: {
    x: "read",
    norm_weight: "read",
    weight: "read",
    bias: "read",
    conv_weight: "read",
    conv_bias: "read",
    conv_state: "read_write",
    y: "read_write",
  },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [
    "D_IN",
    "W_STRIDE",
    "W_DTYPE",
    "ROW_START",
    "ROWS",
    "GROUPS",
    "ALIGNED",
    "NORM",
    "EPS",
    "BIAS",
    "RESIDUAL",
    "CONV",
    "CONV_BIAS",
    "D_CONV",
    "CONV_START",
    "D_INNER",
  ],
  sizes: (values) => {
    const { D_IN, ROW_START, ROWS, NORM, BIAS, CONV, CONV_BIAS, D_INNER, D_CONV } = values;
    const { W_STRIDE, W_DTYPE, rows, ld_x, x_offset, ld_y } = values;
    return {
      x: x_offset + (rows - 1) * ld_x + D_IN,
      norm_weight: NORM * D_IN,
      weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
      bias: BIAS * (ROW_START + ROWS),
      conv_weight: CONV * D_INNER * D_CONV,
      conv_bias: CONV_BIAS * D_INNER,
      conv_state: CONV * rows * D_INNER * D_CONV,
      y: (rows - 1) * ld_y + ROW_START + ROWS,
    };
  },
});

/** The kernel's EACH and COMPANY. */
const [EACH, COMPANY] = [4, 8];

/**
 * One block of a matvec for some rows.
 *
 * @param options.groups Rows of weight of a workgroup, by fours: 4 or 8. No bit depends on it.
 */
export function matvecByRows(
  program: Program,
  block: MatvecBlock,
  { rows, groups }: { readonly rows: number; readonly groups: number },
): void {
  program.add(matvecRowsKernel, {
    ...block,
    overrides: { ...block.overrides, GROUPS: groups },
    params: { ...block.params, rows },
    workgroups: [Math.ceil(rows / COMPANY), Math.ceil(block.overrides.ROWS / (EACH * groups)), 1],
  });
}
