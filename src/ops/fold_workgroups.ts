/** Grids of more workgroups than one dimension holds. */

/** Workgroups a dimension holds on every device. */
const MAX_WORKGROUPS = 65535;

/** A grid (x, y) of at least `count` workgroups: number `x + y * (workgroups along x)`, the last ones possibly too many. */
export function foldWorkgroups(count: number): [number, number, 1] {
  const x = Math.min(count, MAX_WORKGROUPS);
  return [x, Math.ceil(count / x), 1];
}
