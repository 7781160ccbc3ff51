import { assertEquals } from "@std/assert";
import { ThreadChoice } from "../../src/cpu/machine/thread_choice.ts";

/** Runs steps of work that takes so long on so many threads, and returns the threads of each run. */
function threadsOfRuns(
  maxThreads: number,
  runs: number,
  elapsedMs: (threads: number, run: number) => number,
): number[] {
  let time = 1000;
  let threads = maxThreads;
  const choice = new ThreadChoice(
    { maxThreads, setThreads: (count) => threads = count },
    () => time,
  );
  return Array.from({ length: runs }, (_, run) => {
    let used = 0;
    choice.run(1, () => {
      used = threads;
      time += elapsedMs(threads, run);
    });
    return used;
  });
}

Deno.test("ThreadChoice tries each number in turns, and keeps to the fastest", () => {
  const threads = threadsOfRuns(6, 40, (count) => 8 / count);
  assertEquals(threads.slice(0, 8), [1, 2, 4, 6, 1, 2, 4, 6]);
  assertEquals(new Set(threads.slice(24)), new Set([6]));
});

Deno.test("ThreadChoice keeps to one thread where more do not pay", () => {
  const threads = threadsOfRuns(2, 40, (count) => count === 1 ? 1 : 0.97);
  assertEquals(new Set(threads.slice(12)), new Set([1]));
});

Deno.test("ThreadChoice is not misled by an interruption or by the first run", () => {
  const threads = threadsOfRuns(2, 40, (count, run) => run < 2 || run === 5 ? 50 : 2 / count);
  assertEquals(new Set(threads.slice(12)), new Set([2]));
});

Deno.test("ThreadChoice tries again after a while", () => {
  // The second thread's core is taken by somebody else after run 60.
  const threads = threadsOfRuns(
    2,
    200,
    (count, run) => 100 * (run > 60 && count === 2 ? 3 : 1) / count,
  );
  assertEquals(new Set(threads.slice(20, 60)), new Set([2]));
  assertEquals(threads.slice(95, 135).every((count) => count === 1), true);
});

Deno.test("ThreadChoice leaves a single thread alone", () => {
  assertEquals(threadsOfRuns(1, 3, () => 1), [1, 1, 1]);
});
