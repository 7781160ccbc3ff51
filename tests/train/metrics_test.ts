import { assertEquals } from "@std/assert";
import { openMetrics, readMetrics } from "../../src/train/run/metrics.ts";

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(`${folder}/metrics.jsonl`);
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
    assertEquals(names, ["metrics.jsonl"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(path: string, step: number, steps: readonly number[]): Promise<void> {
  using log = await openMetrics(path, step);
  for (const s of steps) log.append({ step: s, loss: 1 / s });
}

Deno.test("openMetrics() appends lines that are in the file at once", async () => {
  await inFolder(async (path) => {
    using log = await openMetrics(path, 0);
    log.append({ step: 1, loss: 0.5 });
    assertEquals(await Deno.readTextFile(path), '{"step":1,"loss":0.5}\n');
    log.append({ step: 2, loss: NaN, note: "a\nb" });
    assertEquals(await readMetrics(path), [
      { step: 1, loss: 0.5 },
      { step: 2, loss: null, note: "a\nb" },
    ]);
  });
});

Deno.test("openMetrics() makes a resumed run's file that of an uninterrupted one", async () => {
  await inFolder(async (path) => {
    await write(path, 0, [1, 2, 3, 4, 5, 6]);
    const whole = await Deno.readTextFile(path);
    for (let cut = 0; cut <= whole.length; cut++) {
      // Killed after `cut` bytes; the last checkpoint was of the last whole line, or of step 2 at most.
      await Deno.writeTextFile(path, whole.slice(0, cut));
      const lines = (await readMetrics(path)).length;
      const step = Math.min(lines, 2);
      await write(path, step, [1, 2, 3, 4, 5, 6].slice(step));
      assertEquals(await Deno.readTextFile(path), whole);
    }
  });
});

Deno.test("openMetrics() begins the file anew at step 0", async () => {
  await inFolder(async (path) => {
    await write(path, 0, [1, 2, 3]);
    await write(path, 0, [1]);
    assertEquals(await readMetrics(path), [{ step: 1, loss: 1 }]);
  });
});

Deno.test("readMetrics() stops at a damaged line, and finds none where there is no file", async () => {
  await inFolder(async (path) => {
    assertEquals(await readMetrics(path), []);
    for (const damaged of ["{", "[]", "1", '{"loss":1}', '{"step":"1"}', '{"step":2,"x":[]}', ""]) {
      await Deno.writeTextFile(path, `{"step":1}\n${damaged}\n{"step":3}\n`);
      assertEquals(await readMetrics(path), [{ step: 1 }]);
    }
  });
});
