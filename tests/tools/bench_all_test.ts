import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { all } from "../../tools/bench/all.ts";
import type { Result } from "../../tools/bench/result.ts";
import type { Row } from "../../tools/bench/rows.ts";

/** A benchmark that gives these figures, or fails. */
function rowOf(name: string, figure: Row["figure"], given: number | Error): Row {
  return {
    ...{ name, figure, args: [name] },
    async *run() {
      if (given instanceof Error) throw given;
      yield await Promise.resolve({ bench: name, device: "a card", [figure]: given });
    },
  };
}

/** Results of these rows, and the status that a command would end with. */
async function run(rows: readonly Row[], ...args: string[]): Promise<[Result[], number]> {
  const before = Deno.exitCode;
  try {
    const results = await Array.fromAsync(all(args, rows));
    return [results, Deno.exitCode];
  } finally {
    Deno.exitCode = before;
  }
}

async function withFile(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/baseline.json`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const without = ({ seconds: _, ...result }: Result) => result;

Deno.test("bench all compares its figures with those that the last run saved on the same device", async () => {
  await withFile(async (path) => {
    const rows = [rowOf("speed", "tokensPerSecond", 100), rowOf("time", "milliseconds", 2)];
    const [first] = await run(rows, "--baseline", path, "--save", path);
    const line = { bench: "all", device: "a card" };
    assertEquals(first.map(without), [
      { ...line, row: "speed", tokensPerSecond: 100 },
      { ...line, row: "time", milliseconds: 2 },
      { ...line, rows: 2, leftOut: [], worse: [] },
    ]);
    const { runs: [saved] } = JSON.parse(await Deno.readTextFile(path));
    assertEquals([saved.device, saved.deno], ["a card", Deno.version.deno]);
    assertMatch(saved.date, /^\d{4}-\d\d-\d\d$/);

    const later = [rowOf("speed", "tokensPerSecond", 86), rowOf("time", "milliseconds", 2.5)];
    const [second, status] = await run(later, "--baseline", path);
    assertEquals(second.map(without), [
      { ...line, row: "speed", tokensPerSecond: 86, before: 100, ratio: 0.86 },
      { ...line, row: "time", milliseconds: 2.5, before: 2, ratio: 0.8 },
      { ...line, rows: 2, leftOut: [], worse: ["time"] },
    ], "less time is a larger ratio, and 0.15 may be lost");
    assertEquals(status, 1);
    const [, tolerant] = await run(later, "--baseline", path, "--tolerance", "0.25");
    assertEquals(tolerant, 0);

    const elsewhere = JSON.stringify({ runs: [{ ...saved, device: "another" }] });
    await Deno.writeTextFile(path, elsewhere);
    const [third] = await run(rows, "--baseline", path, "--save", path);
    assertEquals(third.map(without), first.map(without), "another device is no baseline");
    const { runs } = JSON.parse(await Deno.readTextFile(path));
    assertEquals(runs.map(({ device }: { device: string }) => device), ["a card", "another"]);
  });
});

Deno.test("bench all leaves out by name what the device cannot run, and goes on", async () => {
  await withFile(async (path) => {
    const fits = rowOf("small", "tokensPerSecond", 7);
    const [, saved] = await run([rowOf("large", "tokensPerSecond", 1), fits], "--save", path);
    assertEquals(saved, 0);
    const rows = [rowOf("large", "tokensPerSecond", new RangeError("no room")), fits];
    const [results, status] = await run(rows, "--baseline", "none");
    assertEquals(results[0]?.leftOut, "no room");
    assertEquals(results[1]?.tokensPerSecond, 7);
    assertEquals([results[2]?.leftOut, results[2]?.worse, status], [["large"], [], 0]);
    const [compared, lost] = await run(rows.toReversed(), "--baseline", path);
    assertEquals([compared[2]?.worse, lost], [["large"], 1], "it was there before");
  });
});

Deno.test("bench all ends with status 1 where a benchmark finds a wrong result", async () => {
  const rows = [rowOf("x", "tokensPerSecond", new Error("Cannot time the copy: it is wrong"))];
  const [results, status] = await run(rows, "--baseline", "none");
  assertEquals([results.at(-1)?.worse, status], [["x"], 1]);
});

Deno.test("bench all begins no row after --seconds, and none that is for another kind of machine", async () => {
  const [late] = await run([rowOf("x", "milliseconds", 1)], "--baseline", "none", "--seconds", "0");
  assertEquals(late.map(without), [
    { bench: "all", device: "none", row: "x", leftOut: "0 s had passed, of 0" },
    { bench: "all", device: "none", rows: 1, leftOut: ["x"], worse: [] },
  ]);
  const both = (["gpu", "cpu"] as const).map((on) => ({ ...rowOf(on, "milliseconds", 1), on }));
  const [results] = await run(both, "--baseline", "none");
  assertEquals(results.filter(({ milliseconds }) => milliseconds === 1).length, 1);
  assertMatch(
    String(results.find(({ leftOut }) => leftOut !== undefined)?.leftOut),
    /^it (needs a GPU|is for machines without a GPU), and /,
  );
});

Deno.test("bench all names its rows where it is asked for others", async () => {
  await assertRejects(
    () => Array.fromAsync(all(["--only", "nothing"])),
    SyntaxError,
    'Cannot run "nothing": the rows are serve weights/shakespeare, 1 client; ',
  );
});

Deno.test("bench all measures a shipped model on this machine", async () => {
  const args = ["--only", "weights/mnist, a whole image", "--baseline", "none"];
  const [result] = await Array.fromAsync(all(args));
  assertEquals(typeof result?.milliseconds, "number");
});
