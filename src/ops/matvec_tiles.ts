/** matvec_tiles: what matvec_fwd computes, for the steps of many sequences at once. */

import type { Program } from "../gpu/program.ts";
import source from "../../kernels/matvec_tiles.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import {
  MATVEC_BINDINGS,
  MATVEC_OVERRIDES,
  type MatvecBlock,
  matvecSizes,
} from "./matvec_block.ts";
import { TILE_O_ROWS, TILE_X_ROWS } from "./matvec_tiling.ts";

/** The kernel. */
export const matvecTilesKernel = defineKernel({
  name: "matvec_tiles",
  source,
  preludes: ["_weight", "_chains", "_matvec", "_matvec_rows"],
  bindings: MATVEC_BINDINGS,
  params: { rows: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [...MATVEC_OVERRIDES, "EACH"],
  sizes: (values) => matvecSizes(values, values.rows),
});

/**
 * One block of a matvec for many rows.
 *
 * @param options.each Rows of x of a lane: 4 or 8. No bit depends on it.
 */
export function matvecByTiles(
  program: Program,
  block: MatvecBlock,
  { rows, each }: { readonly rows: number; readonly each: number },
): void {
  program.add(matvecTilesKernel, {
    ...block,
    overrides: { ...block.overrides, EACH: each },
    params: { ...block.params, rows },
    workgroups: [
      Math.ceil(rows / (TILE_X_ROWS * each)),
      Math.ceil(block.overrides.ROWS / TILE_O_ROWS),
      1,
    ],
  });
}
