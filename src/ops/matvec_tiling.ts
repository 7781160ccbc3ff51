/** How matvecs are spread over lanes: no bit of a result depends on it. */

/** How a matvec is spread over lanes. */
export interface MatvecTiling {
  /** Lanes that share a row, a power of two from 8 on. */
  readonly lanes: number;
  /** Groups of four rows a workgroup. */
  readonly groups: number;
}

/** Rows that a group of lanes computes together: one vec4 of sums. */
export const ROWS_PER_GROUP = 4;

/** Columns that a lane takes at a time: a part of a sum. */
const PART = 16;

/** Lanes of the largest workgroup. */
const MAX_LANES = 256;

/** Rows of a weight that keep a device busy with a workgroup for each four: then small workgroups, which wait less. */
const BUSY_ROWS = 512;

/** A software adapter runs lanes one after the other, and a barrier costs it dearly: few lanes a row. */
const SOFTWARE_TILING: MatvecTiling = { lanes: 8, groups: 8 };

/**
 * The tiling for a weight of this shape: a lane for each part of a row, or, of many long rows, for several.
 *
 * Measured on an H100 by `deno task bench matvec` and within whole steps by `deno task bench decode --kernels`.
 */
export function matvecTiling(rows: number, columns: number, isSoftware = false): MatvecTiling {
  // Very many rows need several groups a workgroup, as a dispatch has at most 65535 of these.
  const needed = 2 ** Math.ceil(Math.log2(Math.max(1, rows / (ROWS_PER_GROUP * 65535))));
  if (isSoftware) {
    return { ...SOFTWARE_TILING, groups: Math.max(SOFTWARE_TILING.groups, needed) };
  }
  const parts = 2 ** Math.ceil(Math.log2(columns / PART));
  const few = rows < BUSY_ROWS || parts <= 64 ? parts : 32;
  const lanes = Math.max(8, Math.min(few, MAX_LANES / needed));
  return { lanes, groups: Math.max(needed, 32 / Math.min(32, lanes)) };
}
