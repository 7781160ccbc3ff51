/** How the matmul kernels cut their result into tiles: one for large results, one that leaves no device idle. */

import type { Gpu } from "../gpu/device.ts";

/** Rows and columns of a tile, which one workgroup computes: the kernels' WIDE is 128. */
export type MatmulTile = 64 | 128;

/** Fewer tiles than this leave an H100, of 132 multiprocessors, partly idle. */
const BUSY_TILES = 132;

/** What a multiplication costs in a tile of 64, in units of one in a tile of 128: 28 and 22 TFLOP/s on an H100. */
const NARROW_COST = 1.27;

/** Tiles of one side in a result of (rows, columns), partly filled ones included. */
export function tileCount(tile: MatmulTile, rows: number, columns: number): number {
  return Math.ceil(rows / tile) * Math.ceil(columns / tile);
}

/** The tile that a busy device computes a result of (rows, columns) with in less time. */
export function cheaperTile(gpu: Gpu, rows: number, columns: number): MatmulTile {
  // A software adapter has no registers for 64 sums a lane, and takes seconds to compile them.
  if (gpu.isSoftware) return 64;
  const cost = 4 * tileCount(128, rows, columns);
  return cost < NARROW_COST * tileCount(64, rows, columns) ? 128 : 64;
}

/** The tile for a result of (rows, columns), each of whose tiles is one workgroup. */
export function matmulTile(gpu: Gpu, rows: number, columns: number): MatmulTile {
  return tileCount(128, rows, columns) < BUSY_TILES ? 64 : cheaperTile(gpu, rows, columns);
}

/** Whether 16-byte loads reach rows with these widths, strides and starts, in elements. */
export function areMultiplesOf4(...counts: readonly number[]): boolean {
  return counts.every((count) => count % 4 === 0);
}
