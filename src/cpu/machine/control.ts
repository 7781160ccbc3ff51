/** Words at the start of the memory that this side writes: kernels/cpu/assembly/control.ts reads the same. */

/** u32: whether the caller may sleep, which a page's main thread may not. */
export const CALLER_MAY_SLEEP = 388;

/** u32 a thread: its scratch memory. */
export const SCRATCH = 512;

/** As many threads as have a word for their scratch memory. */
export const MAX_THREADS = 256;
