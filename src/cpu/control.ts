/** Words that the module and this side share: kernels/cpu/assembly/control.ts reads the same. */

/** u32: threads that may take chunks, the caller's among them. */
export const THREADS = 260;

/** u32: not 0 once workers are to return. */
export const STOP = 264;

/** u32: whether the caller may sleep, which a page's main thread may not. */
export const CALLER_MAY_SLEEP = 268;

/** u32 a thread: its scratch memory. */
export const SCRATCH = 512;

/** As many threads as have a word for their scratch memory. */
export const MAX_THREADS = 256;
