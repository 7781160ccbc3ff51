import { assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  foldIn,
  normal,
  permutation,
  permutedAt,
  randomAt,
  randomKey,
  threefry2x32,
  uniform,
} from "../../src/model/random.ts";
import { threefry2x32 as reference } from "../../src/checks/reference/threefry.ts";

Deno.test("threefry2x32() gives the published known answers", () => {
  // Random123's kat_vectors, "threefry2x32 20".
  assertEquals(threefry2x32([0, 0], [0, 0]), [0x6b200159, 0x99ba4efe]);
  const ones = 0xffffffff;
  assertEquals(threefry2x32([ones, ones], [ones, ones]), [0x1cb996fc, 0xbb002be7]);
  const pi = threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3]);
  assertEquals(pi, [0xc4923a9c, 0x483df7a0]);
});

Deno.test("threefry2x32() equals the reference on other words", () => {
  for (let i = 0; i < 200; i++) {
    const key = reference([i, 1], [2, 3]), counter = reference([i, 4], [5, 6]);
    assertEquals(threefry2x32(key, counter), reference(key, counter));
  }
});

Deno.test("randomKey() tells seeds and streams apart, and takes 53 bits", () => {
  const keys = [[0, "a"], [1, "a"], [2 ** 32, "a"], [0, "b"], [0, "aa"], [0, "ab"], [0, "ba"]];
  const seen = new Set(keys.map(([seed, name]) => randomKey(Number(seed), String(name)).join()));
  assertEquals(seen.size, keys.length);
  assertEquals(randomKey(7, "x"), randomKey(7, "x"));
  randomKey(2 ** 53 - 1, "a");
  for (const seed of [-1, 0.5, NaN, 2 ** 53]) {
    assertThrows(() => randomKey(seed, "a"), RangeError, `Cannot seed with ${seed}`);
  }
});

Deno.test("foldIn() gives each index a stream of its own", () => {
  const key = randomKey(1, "a");
  const keys = [key, foldIn(key, 0), foldIn(key, 1), foldIn(key, 2 ** 32), foldIn(key, 2 ** 40)];
  assertEquals(new Set(keys.map((k) => k.join())).size, keys.length);
});

Deno.test("uniform() and normal() have the moments that they should", () => {
  const count = 40_000;
  const moments = (values: Float32Array) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / count;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / count;
    return [mean, Math.sqrt(variance)] as const;
  };
  const flat = uniform(randomKey(1, "u"), count, -2, 4);
  const [flatMean, flatStd] = moments(flat);
  assertAlmostEquals(flatMean, 1, 0.03);
  assertAlmostEquals(flatStd, 6 / Math.sqrt(12), 0.03);
  assertEquals(flat.every((v) => v >= -2 && v <= 4), true);
  const bell = normal(randomKey(1, "n"), count, 3);
  const [bellMean, bellStd] = moments(bell);
  assertAlmostEquals(bellMean, 0, 0.05);
  assertAlmostEquals(bellStd, 3, 0.05);
  const within = bell.filter((v) => Math.abs(v) < 3).length / count;
  assertAlmostEquals(within, 0.6827, 0.01);
  const lagged = bell.reduce((sum, v, i) => sum + v * (bell[i + 1] ?? 0), 0) / count / 9;
  assertAlmostEquals(lagged, 0, 0.02);
});

Deno.test("uniform() and normal() do not change with the length asked for", () => {
  const key = randomKey(3, "x");
  for (const draw of [uniform, normal]) {
    const [short, long] = [draw(key, 7, 1, 2), draw(key, 20, 1, 2)];
    assertEquals(short, long.subarray(0, 7));
  }
  assertEquals(uniform(key, 3, 0, 1)[2], Math.fround(randomAt(key, 2)));
});

Deno.test("permutation() holds every number once, and each place equally often", () => {
  for (const count of [0, 1, 2, 100]) {
    const sorted = permutation(randomKey(5, "p"), count).toSorted();
    assertEquals(sorted, Uint32Array.from({ length: count }, (_, i) => i));
  }
  assertNotEquals(permutation(randomKey(5, "p"), 100), permutation(randomKey(6, "p"), 100));
  const firsts = new Array(4).fill(0);
  for (let i = 0; i < 4000; i++) firsts[permutation(foldIn([1, 2], i), 4)[0] ?? 0]++;
  for (const count of firsts) assertAlmostEquals(count, 1000, 100);
});

Deno.test("permutedAt() gives each number once, in another order for another key", () => {
  for (const count of [1, 2, 3, 7, 64, 1000]) {
    const order = (seed: number) => {
      const key = randomKey(seed, "order");
      return Array.from({ length: count }, (_, index) => permutedAt(key, count, index));
    };
    assertEquals(new Set(order(1)).size, count);
    assertEquals(order(1).every((at) => at >= 0 && at < count), true);
    if (count >= 64) assertEquals(order(1).some((at, i) => at !== order(2)[i]), true);
  }
  // Far apart for neighbors, too: one in two falls into either half.
  const key = randomKey(3, "order"), count = 2 ** 33 + 5;
  const low = Array.from({ length: 1000 }, (_, i) => permutedAt(key, count, i)).filter((at) =>
    at < count / 2
  );
  assertEquals(low.length > 430 && low.length < 570, true);
});
