/** How the matmul kernels cut their result into tiles: one for large results, one that leaves no device idle. */

import type { Gpu } from "../gpu/device.ts";

/** Rows and columns of a tile, which one workgroup computes: the kernels' WIDE is 128. */
export type MatmulTile = 64 | 128;

/** Fewer tiles than this leave an H100, of 132 multiprocessors, partly idle. */
const BUSY_TILES = 132;

/** What a multiplication costs in a tile of 64, in units of one in a tile of 128: 28 and 22 TFLOP/s on an H100. */
const NARROW_COST = 1.27;

/** The tile for a result of (rows, columns): the one that takes less time over all tiles, partly filled ones included. */
export function matmulTile(gpu: Gpu, rows: number, columns: number): MatmulTile {
  // A software adapter has no registers for 64 sums a lane.
  if (gpu.isSoftware) return 64;
  const count = (tile: MatmulTile) => Math.ceil(rows / tile) * Math.ceil(columns / tile);
  const isCheaper = 4 * count(128) < NARROW_COST * count(64);
  return isCheaper && count(128) >= BUSY_TILES ? 128 : 64;
}

/** Whether 16-byte loads reach rows with these widths, strides and starts, in elements. */
export function areMultiplesOf4(...counts: readonly number[]): boolean {
  return counts.every((count) => count % 4 === 0);
}
