/** How matvecs are spread over lanes: no bit of a result depends on it. */

/** How a matvec is spread over lanes. */
export interface MatvecTiling {
  /** Rows that lanes side by side, which have a chain of their sums each, compute together: 2 or 4. */
  readonly each: number;
  /** Such lanes in a workgroup, times 32. */
  readonly groups: number;
}

/** Rows of which a device is busy with four each. */
const BUSY_ROWS = 4096;

/** Workgroups that a dispatch has at most along one side, on every device. */
const MAX_WORKGROUPS = 65535;

/**
 * The tiling for a weight of so many rows.
 *
 * Measured on an H100 by `deno task bench matvec` and within whole steps by `deno task bench decode --kernels`.
 *
 * @param isSoftware A software adapter runs lanes one after the other: few workgroups, which each lay x out for themselves.
 */
export function matvecTiling(rows: number, isSoftware = false): MatvecTiling {
  const each = rows >= BUSY_ROWS || isSoftware ? 4 : 2;
  return { each, groups: isSoftware || rows > each * 4 * MAX_WORKGROUPS ? 8 : 4 };
}
