import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { type Complex, eigenOfHermitian } from "../../../src/model/mixers/hermitian.ts";
import { hippoPairs } from "../../../src/model/mixers/hippo.ts";
import { Random } from "../../../src/checks/random.ts";

for (const size of [1, 2, 3, 8, 33]) {
  Deno.test(`eigenOfHermitian() takes a matrix of ${size} rows apart`, () => {
    const random = new Random(size);
    const elements = Array.from({ length: size * size }, (): Complex => [
      random.next() - 0.5,
      random.next() - 0.5,
    ]);
    const element = (row: number, column: number): Complex => {
      const [re, im] = elements[Math.min(row, column) * size + Math.max(row, column)] ?? [NaN, NaN];
      return [re, row === column ? 0 : row < column ? im : -im];
    };
    const { values, vectors } = eigenOfHermitian(size, element);
    for (const [i, vector] of vectors.entries()) {
      // M v = value v, and v is orthogonal to those before it.
      for (let row = 0; row < size; row++) {
        let [re, im] = [0, 0];
        for (const [column, [x, y]] of vector.entries()) {
          const [a, b] = element(row, column);
          re += a * x - b * y;
          im += a * y + b * x;
        }
        const [x, y] = vector[row] ?? [NaN, NaN];
        assertAlmostEquals(re, (values[i] ?? NaN) * x, 1e-12);
        assertAlmostEquals(im, (values[i] ?? NaN) * y, 1e-12);
      }
      for (const [j, other] of vectors.slice(0, i + 1).entries()) {
        let [re, im] = [0, 0];
        for (const [n, [a, b]] of other.entries()) {
          const [x, y] = vector[n] ?? [NaN, NaN];
          re += a * x + b * y;
          im += a * y - b * x;
        }
        assertAlmostEquals(re, i === j ? 1 : 0, 1e-12);
        assertAlmostEquals(im, 0, 1e-12);
      }
    }
  });
}

Deno.test("hippoPairs() gives half of each conjugate pair of HiPPO-LegS, the slowest first", () => {
  const pairs = hippoPairs(64);
  assertEquals(pairs.length, 32);
  assert(pairs.every(({ Lambda: [re, im] }) => re === -0.5 && im > 0));
  assert(pairs.every(({ Lambda: [, im] }, n) => n === 0 || im > (pairs[n - 1]?.Lambda[1] ?? NaN)));
  // sum |P|^2 of all states is sum (n + 1/2) = size^2 / 2, and sum |B|^2 is size^2: lengths do not change with the basis.
  const square = (of: "P" | "B") =>
    2 * pairs.reduce((sum, pair) => sum + pair[of][0] ** 2 + pair[of][1] ** 2, 0);
  assertAlmostEquals(square("P"), 64 ** 2 / 2, 1e-8);
  assertAlmostEquals(square("B"), 64 ** 2, 1e-8);
});

Deno.test("hippoPairs() has the eigenvalues of HiPPO-LegS less its term of rank one", () => {
  // Of two states A + p p^T is [[-1/2, sqrt(3)/2], [-sqrt(3)/2, -1/2]].
  const [pair] = hippoPairs(2);
  assertAlmostEquals(pair?.Lambda[1] ?? NaN, Math.sqrt(3) / 2, 1e-12);
});
