/** How the kernels of the Mamba-1 scan are spread over lanes. */

/** Sizes of a Mamba-1 mixer. */
export interface ScanSizes {
  readonly d_inner: number;
  readonly d_state: number;
  readonly dt_rank: number;
}

/** States a lane of selective_scan_fwd and selective_scan_bwd keeps in registers. */
const STATES_PER_LANE = 4;

/** The largest d_state: a channel has at most the 256 lanes of a workgroup that every device allows. */
export const MAX_SCAN_STATES: number = 256 * STATES_PER_LANE;

/** Steps of a group, which the kernels have written out: training keeps the state before each. */
export const SCAN_CHUNK = 4;

/** Lanes of a workgroup, if a channel does not need more. */
const WORKGROUP_SIZE = 32;

/** Most groups of a tile: more take more workgroup memory, and fewer workgroups are then at work. */
const MAX_GROUPS = 4;

/**
 * How a workgroup of selective_scan_fwd or selective_scan_bwd is made up: lanes a channel, and channels, a power of two.
 */
export function scanLanes(d_state: number): { lanes: number; channels: number } {
  const lanes = Math.ceil(d_state / STATES_PER_LANE);
  return { lanes, channels: 2 ** Math.floor(Math.log2(Math.max(1, WORKGROUP_SIZE / lanes))) };
}

/** Groups of steps that the forward kernels take at once: what fits in 16 KiB of workgroup memory, which every device has. */
export function groupsAtOnce({ lanes, channels }: { lanes: number; channels: number }): number {
  // Tiles of dt and dt u, parts of y, and tiles of B and C where channels share them, in vectors of four.
  const size = channels * (2 + lanes) + (channels > 1 ? 2 * SCAN_CHUNK * lanes : 0);
  return Math.max(1, Math.min(lanes, MAX_GROUPS, Math.floor(1000 / size)));
}
