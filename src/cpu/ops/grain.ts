/** How many items a thread takes at once: enough that taking them costs little. */

/** Elements of which some arithmetic makes about ten microseconds of work. */
const ELEMENTS = 16384;

/** Channels of an item of ops along the sequence: a cache line of each row, so that threads write none together. */
export const CHANNELS = 16;

/** Items of so many elements each. */
export function rowsGrain(elements: number): number {
  return Math.max(1, Math.floor(ELEMENTS / elements));
}

/** Parts that sums over rows are made of: enough for many threads, and soon added up. No number of threads changes it. */
export const MAX_PARTS = 64;
