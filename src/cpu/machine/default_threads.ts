import { hasWorkers } from "./worker.ts";

/** Threads that are started where nobody says: more read weights no faster than these on the machines there are. */
const MOST_THREADS = 8;

/** Threads to start where nobody says how many: one a core, where there can be workers. */
export function defaultThreads(): number {
  if (!hasWorkers()) return 1;
  return Math.min(globalThis.navigator?.hardwareConcurrency ?? 1, MOST_THREADS);
}
