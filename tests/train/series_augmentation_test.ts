import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { seriesCopier, UNCHANGED } from "../../src/train/series_augmentation.ts";

const SERIES = {
  length: 5,
  row: (index: number) =>
    Float32Array.of(0, 1, 2, 3, 4).map((value) => value + ([0, 10, 100][index] ?? NaN)),
  labels: Uint32Array.of(0, 1, 1),
};

function copies(
  changes: Partial<typeof UNCHANGED>,
  { example = 0, epochs = 50 }: { readonly example?: number; readonly epochs?: number } = {},
): number[][] {
  const copy = seriesCopier(SERIES, { ...UNCHANGED, ...changes }, 1);
  return Array.from({ length: epochs }, (_, epoch) => {
    const to = new Float32Array(5);
    copy({ example, epoch }, to);
    return [...to];
  });
}

Deno.test("seriesCopier() changes nothing where nothing may change", () => {
  for (
    const [example, expected] of [[0, [0, 1, 2, 3, 4]], [2, [100, 101, 102, 103, 104]]] as const
  ) {
    assertEquals(copies({}, { example, epochs: 1 }), [[...expected]]);
  }
});

Deno.test("seriesCopier() moves series within their range, or in a circle", () => {
  for (const moved of copies({ shift: 2 })) {
    assert(moved.every((value, t) => value >= 0 && value <= 4 && value >= (moved[t - 1] ?? 0)));
  }
  const rolled = new Set(copies({ roll: 5 }).map((values) => values.join()));
  assertEquals(rolled, new Set(["0,1,2,3,4", "1,2,3,4,0", "2,3,4,0,1", "3,4,0,1,2", "4,0,1,2,3"]));
  assertEquals(copies({ shift: 2 }), copies({ shift: 2 }));
});

Deno.test("seriesCopier() changes height, length and slope up to what is said", () => {
  for (const [, , , , last] of copies({ scale: 0.25 })) {
    assert(last !== undefined && last >= 3 && last <= 5);
  }
  for (const values of copies({ stretch: 0.5 })) assertAlmostEquals(values[2] ?? NaN, 2, 1e-6);
  for (const values of copies({ tilt: 1 })) {
    assertAlmostEquals((values[0] ?? 0) + (values[4] ?? 0), 4, 1e-5);
    assert(Math.abs(values[0] ?? 9) <= 1);
  }
  const noise = copies({ jitter: 0.1 }).flatMap((values) => values.map((value, t) => value - t));
  const spread = Math.sqrt(noise.reduce((sum, value) => sum + value ** 2, 0) / noise.length);
  assertAlmostEquals(spread, 0.1, 0.02);
});

Deno.test("seriesCopier() mixes series of one class alone", () => {
  assertEquals(new Set(copies({ mix: 0.5 }).map(String)), new Set(["0,1,2,3,4"]));
  const firsts = copies({ mix: 0.5 }, { example: 1 }).map(([first = NaN]) => first);
  assert(firsts.every((value) => value >= 10 && value <= 55) && firsts.some((value) => value > 11));
});
