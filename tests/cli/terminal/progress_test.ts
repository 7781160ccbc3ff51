import { assertEquals } from "@std/assert";
import { Progress } from "../../../src/cli/terminal/progress.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** A clock that is set by hand. */
function clock() {
  let time = 0;
  return { now: () => time, set: (ms: number) => time = ms };
}

Deno.test("Progress rewrites one line on a terminal, with rate and time left, and removes it", () => {
  const terminal = new FakeTerminal({ rewrites: true });
  const { now, set } = clock();
  {
    using progress = new Progress(terminal, {
      label: "Counting",
      total: 100,
      unit: "sheep",
      delayMs: 0,
      now,
    });
    progress.update(0);
    set(50);
    progress.update(5);
    set(1000);
    progress.update(20, "all white");
  }
  assertEquals(terminal.stderr.split("\r\x1b[K"), [
    "",
    "Counting: 0 of 100 sheep",
    "Counting: 20 of 100 sheep, 20.0/s, 4.00 s left, all white",
    "",
  ]);
});

Deno.test("Progress writes a plain line for every tenth where lines stay", () => {
  const terminal = new FakeTerminal();
  const { now, set } = clock();
  {
    using progress = new Progress(terminal, {
      label: "Counting",
      total: 1000,
      unit: "sheep",
      delayMs: 0,
      now,
    });
    for (let i = 1; i <= 1000; i++) {
      set(i * 10);
      progress.update(i);
    }
  }
  const lines = terminal.stderr.trimEnd().split("\n");
  assertEquals(lines.length, 11);
  assertEquals(lines[0], "Counting: 1 of 1,000 sheep");
  assertEquals(lines[5], "Counting: 501 of 1,000 sheep, 100/s, 4.99 s left");
  assertEquals(lines[10], "Counting: 1,000 of 1,000 sheep, 100/s");
});

Deno.test("Progress writes one line of many tenths at once", () => {
  const terminal = new FakeTerminal();
  const { now, set } = clock();
  using progress = new Progress(terminal, { label: "Counting", total: 10, unit: "sheep", now });
  set(1100);
  for (let i = 1; i <= 10; i++) progress.update(i);
  assertEquals(terminal.stderr.trimEnd().split("\n"), [
    "Counting: 1 of 10 sheep",
    "Counting: 10 of 10 sheep",
  ]);
});

Deno.test("Progress stays silent where it is over soon", () => {
  const terminal = new FakeTerminal({ rewrites: true });
  const { now, set } = clock();
  {
    using progress = new Progress(terminal, { label: "Loading", total: 10, unit: "bytes", now });
    set(999);
    progress.update(10);
  }
  assertEquals(terminal.stderr, "");
});

Deno.test("Progress counts bytes in their units", () => {
  const terminal = new FakeTerminal();
  const { now, set } = clock();
  using progress = new Progress(terminal, {
    label: "Loading",
    total: 4_000_000,
    unit: "bytes",
    delayMs: 0,
    now,
  });
  progress.update(0);
  set(2000);
  progress.update(1_000_000);
  assertEquals(
    terminal.stderr.split("\n")[1],
    "Loading: 1.00 MB of 4.00 MB, 500 kB/s, 6.00 s left",
  );
});
