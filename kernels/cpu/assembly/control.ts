// What threads share besides the data, at the start of the memory: src/cpu/machine/control.ts names it.
// Each group of words that different threads write has a cache line of its own.

/** u64: the op's number in the upper half, chunks that nobody has taken in the lower. */
export const TICKET: usize = 64;
/** u32: chunks of the current op that workers have done. */
export const DONE: usize = 128;
/** u32: whether the caller sleeps until DONE changes. */
export const CALLER_SLEEPS: usize = 192;
/** u32: workers that sleep until the op's number changes. */
export const SLEEPERS: usize = 256;
/** u32: address of the current op's record. */
export const RECORD: usize = 320;
/** u32: threads that may take chunks, the caller's among them; 0 once workers are to return. */
export const THREADS: usize = 384;
/** u32: whether the caller may sleep, which a page's main thread may not. */
export const CALLER_MAY_SLEEP: usize = 388;
/** u32 a thread: its scratch memory. */
export const SCRATCH: usize = 512;

/** This instance's thread: 0 is the caller. */
export let thread: u32 = 0;

/** The number of the op that this thread works on, different from those around it. */
export let opNumber: u32 = 0;

export function setThread(index: u32): void {
  thread = index;
}

export function setOpNumber(value: u32): void {
  opNumber = value;
}

/** Memory that only this thread uses, as large as the largest op asks for. */
// @ts-ignore: decorator
@inline
export function threadScratch(): usize {
  return load<u32>(SCRATCH + (thread << 2));
}
