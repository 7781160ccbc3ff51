/** How matvecs are spread over lanes: no bit of a result depends on it. */

import type { Matrix } from "./matrix.ts";

/** How a matvec is spread over lanes. */
export interface MatvecTiling {
  /** Rows that lanes side by side, which have a chain of their sums each, compute together: 2 or 4. */
  readonly each: number;
  /** Such lanes in a workgroup, times 32. */
  readonly groups: number;
  /** Chunks of a chain whose weights are loaded at once: up to 6. */
  readonly atOnce: number;
}

/**
 * How the products of some rows of x are computed: each row by itself (matvec_fwd), eight together in workgroups of so
 * many groups (matvec_rows), or in tiles of which a lane has so many rows of x (matvec_tiles).
 */
export type MatvecWay = "alone" | { readonly groups: number } | { readonly each: number };

/** With fewer rows nothing is gained together. */
const FEW_ROWS = 4;

/** Weights that are read for each row of x, in bytes of all rows: to read them once takes as long. */
const CHEAP_BYTES = 24 * 2 ** 20;

/** Products from which on larger workgroups are quicker. */
const SOME_PRODUCTS = 4e8;

/** Up to as many rows are no more than half a tile, and go by eights. */
const FEW_TILE_ROWS = 8;

/** Tiles of either height with which a device is busy enough for them to be quicker than eights of rows. */
const [BUSY_TILES, BUSY_TALL_TILES] = [384, 600];

/** Rows of a tile of matvec_tiles: of x for each that a lane has, and of weight. */
export const [TILE_X_ROWS, TILE_O_ROWS] = [4, 32];

/** The way for some rows of x and a weight, measured on an H100 and an H200 by `deno task bench matvec --rows N`. */
export function matvecWay(
  weight: { readonly rows: number; readonly columns: number; readonly sizeBytes: number },
  rows: number,
): MatvecWay {
  if (rows < FEW_ROWS || weight.sizeBytes * rows <= CHEAP_BYTES) return "alone";
  const tiles = (each: number): number =>
    Math.ceil(weight.rows / TILE_O_ROWS) * Math.ceil(rows / (TILE_X_ROWS * each));
  if (rows > 4 * TILE_X_ROWS && tiles(8) >= BUSY_TALL_TILES) return { each: 8 };
  if (rows > FEW_TILE_ROWS && tiles(4) >= BUSY_TILES) return { each: 4 };
  const products = weight.rows * weight.columns * rows;
  return { groups: products < SOME_PRODUCTS && weight.rows <= 4 * 4 * MAX_WORKGROUPS ? 4 : 8 };
}

/** Rows of which a device is busy with four each. */
const BUSY_ROWS = 3072;

/** Chunks of a lane that registers hold: of two rows, and of four. */
const [FEW_CHUNKS, MANY_CHUNKS] = [6, 2];

/** Bytes of the input that are laid out in workgroup memory at a time: half of what every device has. */
const LAID_BYTES = 8192;

/** Workgroups that a dispatch has at most along one side, on every device. */
const MAX_WORKGROUPS = 65535;

/**
 * The tiling for a weight.
 *
 * Measured on an H100 by `deno task bench matvec` and within whole steps by `deno task bench decode --kernels`.
 *
 * @param isSoftware A software adapter runs lanes one after the other: few workgroups, which each lay x out for themselves.
 */
export function matvecTiling(
  { rows, stride, dtype }: Pick<Matrix, "rows" | "stride" | "dtype">,
  isSoftware = false,
): MatvecTiling {
  const columns = dtype === "f32" ? 4 : dtype === "int8" ? 16 : dtype === "int4" ? 32 : 8;
  const turns = Math.ceil(stride / columns / 32);
  const each = rows >= BUSY_ROWS || isSoftware ? 4 : 2;
  // Three turns of four rows are better loaded at once than in two goes.
  const held = each === 2 ? FEW_CHUNKS : turns === 3 ? 3 : MANY_CHUNKS;
  const most = Math.min(turns, held, LAID_BYTES / (32 * columns * 4));
  return {
    each,
    groups: isSoftware || rows > each * 4 * MAX_WORKGROUPS ? 8 : 4,
    atOnce: Math.ceil(turns / Math.ceil(turns / most)),
  };
}
