/** How matvecs are spread over lanes: what sums depend on is chosen by the weight alone, and the rest by the rows of x too. */

/** How a matvec is spread over lanes. */
export interface MatvecTiling {
  /** Lanes that share a row of weight, a power of two from 4 on: the order of its sums. */
  readonly lanes: number;
  /** Groups of as many lanes a workgroup; for one row of x, or two. */
  readonly groups: number;
}

/** Which kernel computes some rows of x, and in what blocks. No bit depends on it. */
export interface MatvecRows {
  /** Groups a workgroup. */
  readonly groups: number;
  /** 8 rows of weight a group, instead of 4. */
  readonly isWide: boolean;
  /** 8 rows of x a group, instead of 4. */
  readonly isTall: boolean;
}

/** Rows of weight that a group of lanes computes together: one vec4 of sums. */
export const ROWS_PER_GROUP = 4;

/** Up to this many rows of x, weights are read for each: blocks of rows would be mostly empty. */
export const SINGLE_ROWS = 2;

/** Columns that a lane takes at a time. */
const CHUNK = 8;

/**
 * Most lanes of a row of weight. With more a single row is a little faster, and many are slower: each lane's sums must
 * meet the others'.
 */
const MAX_LANES = 64;

/** A software adapter runs lanes one after the other, and a barrier costs it dearly: few lanes a row, as measured on llvmpipe. */
const SOFTWARE_TILING: MatvecTiling = { lanes: 4, groups: 8 };

/** Lanes of a workgroup for many rows: 64 bytes of workgroup memory each, and as many registers as there are. */
const ROWS_WORKGROUP = 128;

/** Workgroups that fill an H100: with fewer, smaller blocks are faster, although weights are loaded more often. */
const BUSY_WORKGROUPS = 264;

/**
 * The tiling for a weight of this shape: lanes have at least two chunks each.
 *
 * Measured on an H100 by `deno task bench matvec` and within whole steps by `deno task bench decode --kernels`.
 */
export function matvecTiling(rows: number, columns: number, isSoftware = false): MatvecTiling {
  // Very many rows need several groups a workgroup, as a dispatch has at most 65535 of these.
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, rows / (ROWS_PER_GROUP * 65535))));
  if (isSoftware) {
    return { ...SOFTWARE_TILING, groups: Math.max(SOFTWARE_TILING.groups, needed) };
  }
  const lanes = matvecLanes(columns);
  const groups = Math.max(needed, lanes <= 32 ? 32 / lanes : 256 / lanes);
  return { lanes, groups: Math.min(256 / lanes, groups) };
}

function matvecLanes(columns: number): number {
  const wanted = 2 ** Math.floor(Math.log2(columns / (2 * CHUNK)));
  return Math.max(4, Math.min(wanted, MAX_LANES));
}

/** The blocks for a weight of that many rows and `count` rows of x. */
export function matvecRows(rows: number, count: number, { lanes }: MatvecTiling): MatvecRows {
  const isTall = count > 4;
  const groups = Math.max(1, ROWS_WORKGROUP / lanes);
  const blocks = Math.ceil(count / (isTall ? 8 : 4));
  const workgroups = (weightRows: number) => blocks * Math.ceil(rows / (weightRows * groups));
  return { groups, isTall, isWide: workgroups(8) >= BUSY_WORKGROUPS };
}
