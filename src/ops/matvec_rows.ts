/** matvec_rows: what matvec_fwd computes, for the steps of some sequences at once. */

import type { Program } from "../gpu/program.ts";
import source from "../../kernels/matvec_rows.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import {
  MATVEC_BINDINGS,
  MATVEC_OVERRIDES,
  type MatvecBlock,
  matvecSizes,
} from "./matvec_block.ts";

/** The kernel. */
export const matvecRowsKernel = defineKernel({
  name: "matvec_rows",
  source,
  preludes: ["_weight", "_chains", "_matvec", "_matvec_rows"],
  bindings: MATVEC_BINDINGS,
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [...MATVEC_OVERRIDES, "GROUPS"],
  sizes: (values) => matvecSizes(values, values.rows),
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
