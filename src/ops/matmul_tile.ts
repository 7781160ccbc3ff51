/** How the matmul kernels cut their result into tiles: one for large results, one that leaves no device idle. */

import type { Gpu } from "../gpu/device.ts";
import type { Program } from "../gpu/program.ts";

/** Rows and columns of a tile, which one workgroup computes: the kernels' WIDE is 128. */
export type MatmulTile = 64 | 128;

/** The forward has another kernel for small results: matmul_split_fwd, with tiles of 32, or of 64 in two halves. */
export type FwdTile = 32 | "64 split" | MatmulTile;

/** With fewer large tiles than this so many of an H100's 132 multiprocessors are idle that small ones take less time. */
const BUSY_TILES = 96;

/** What a multiplication costs in a tile of 64, in units of one in a tile of 128: 28 and 22 TFLOP/s on an H100. */
const NARROW_COST = 1.27;

/** Multiplications from which a software adapter's seconds of compiling the large tile pay off within a few dozen runs. */
const SOFTWARE_WORK = 2 ** 26;

/** A product's sizes: a result of (rows, columns), each element a sum of `depth` products. */
export interface MatmulSizes {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** Tiles of one side in a result of (rows, columns), partly filled ones included. */
export function tileCount(
  tile: MatmulTile,
  { rows, columns }: Omit<MatmulSizes, "depth">,
): number {
  return Math.ceil(rows / tile) * Math.ceil(columns / tile);
}

/** The tile that takes a busy device less time. */
export function cheaperTile(gpu: Gpu, sizes: MatmulSizes): MatmulTile {
  const { rows, columns, depth } = sizes;
  if (gpu.isSoftware && rows * columns * depth < SOFTWARE_WORK) return 64;
  return 4 * tileCount(128, sizes) < NARROW_COST * tileCount(64, sizes) ? 128 : 64;
}

/** The tile where each tile of the result is one workgroup. */
export function matmulTile(gpu: Gpu, sizes: MatmulSizes): MatmulTile {
  const isIdle = !gpu.isSoftware && tileCount(128, sizes) < BUSY_TILES;
  return isIdle ? 64 : cheaperTile(gpu, sizes);
}

/** Columns up to which even thousands of rows of tiles of 64 leave an H100 idle. */
const SMALL_COLUMNS = 256;

/** Columns up to which the 512 rows that a prompt begins with do. */
const SPLIT_COLUMNS = 1024;

/**
 * The tile of the forward. Where no bit of a row may depend on how many rows there are, the weight alone settles which
 * kernel runs: both tiles of matmul_fwd add up in the same order.
 */
export function fwdTile(
  { gpu, sameBits }: Pick<Program, "gpu" | "sameBits">,
  sizes: MatmulSizes,
): FwdTile {
  if (!sameBits) return matmulTile(gpu, sizes);
  if (gpu.isSoftware) return 64;
  if (sizes.columns > SPLIT_COLUMNS) return matmulTile(gpu, sizes);
  return sizes.columns <= SMALL_COLUMNS ? 32 : "64 split";
}

/** The side of a tile of the forward. */
export function sideOf(tile: FwdTile): 32 | MatmulTile {
  return tile === "64 split" ? 64 : tile;
}

/** Whether 16-byte loads reach rows with these widths, strides and starts, in elements. */
export function areMultiplesOf4(...counts: readonly number[]): boolean {
  return counts.every((count) => count % 4 === 0);
}
