/** matvec_rows: what matvec_fwd computes, for the steps of some sequences at once. */

import type { Program } from "../gpu/program.ts";
import source from "../../kernels/matvec_rows.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { blockWords } from "./matrix.ts";
import { endingSizes, MATVEC_OVERRIDES, type MatvecBlock } from "./matvec_block.ts";

/** The kernel. */
export const matvecRowsKernel = defineKernel({
  name: "matvec_rows",
  source,
  preludes: ["_weight", "_chains", "_matvec", "_matvec_rows"],
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
    ...MATVEC_OVERRIDES,
  ],
  sizes: (values) => {
    const { D_IN, ROWS, NORM, W_STRIDE, W_DTYPE, rows, ld_x, x_offset } = values;
    return {
      x: x_offset + (rows - 1) * ld_x + D_IN,
      norm_weight: NORM * D_IN,
      weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
      ...endingSizes(values, rows),
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
