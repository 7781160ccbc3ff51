import { assert, assertEquals } from "@std/assert";
import { Pace } from "../../src/model/pieces.ts";

const LIMITS = { unit: 64, fewRows: 4, firstRows: 256, favorsThroughput: true };

/** Cuts a sequence as executors do. */
function cut(pace: Pace, batch: number, seqlen: number, most: number): number[] {
  const pieces: number[] = [];
  for (let left = seqlen; left > 0; left -= pieces.at(-1) ?? left) {
    pieces.push(pace.steps(batch, left, most));
  }
  return pieces;
}

/** The rows of a turn after many of them, where a turn of `rows` takes `ms(rows)`. */
function settled(limits: typeof LIMITS, ms: (rows: number) => number): number {
  const pace = new Pace(limits);
  for (let turn = 0; turn < 100; turn++) pace.took(pace.rows, ms(pace.rows));
  return pace.rows;
}

Deno.test("Pace cuts where no bit shows it, whatever it measured", () => {
  for (const firstRows of [64, 128, 256, 1024, 8192]) {
    for (const batch of [1, 3, 40]) {
      for (const most of [20, 64, 130, 500, 1408]) {
        for (const seqlen of [1, 5, 64, 65, 68, 69, 128, 130, 257, 1025, 3000]) {
          const pieces = cut(new Pace({ ...LIMITS, firstRows }), batch, seqlen, most);
          const what = `${pieces} of ${seqlen} by ${most}`;
          assertEquals(pieces.reduce((sum, piece) => sum + piece), seqlen, what);
          assert(pieces.every((piece) => piece > 0 && piece <= most), what);
          if (most < 128) continue;
          assert(pieces.slice(0, -1).every((piece) => piece % 64 === 0), what);
          const last = pieces.at(-1) ?? 0;
          assert(pieces.length === 1 || last * batch > 4, what);
        }
      }
    }
  }
});

Deno.test("Pace finds the rows of a turn of 25 ms", () => {
  // What comes beside a matmul's own work makes turns of few rows dear.
  const rows = settled(LIMITS, (rows) => 3 + rows * 0.012);
  assertEquals(rows, 1024);
  const slow = { ...LIMITS, firstRows: 64, favorsThroughput: false };
  assertEquals(settled(slow, (rows) => rows * 20), 64);
  assertEquals(settled(slow, (rows) => rows * 0.01), 2048);
});

Deno.test("Pace does not cut so small that the device idles", () => {
  // As measured of mamba-2.8b: nearly all of it is the same up to 192 rows.
  assertEquals(settled(LIMITS, (rows) => 40 + Math.max(20, rows * 0.3)), 512);
  assertEquals(settled(LIMITS, (rows) => rows * 0.5), 64);
});
