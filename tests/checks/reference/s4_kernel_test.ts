import { assert } from "@std/assert";
import { s4Kernel } from "../../../src/checks/reference/s4_kernel.ts";
import { s4Series, s4System } from "../../../src/checks/reference/s4.ts";
import { hippoPairs } from "../../../src/model/mixers/hippo.ts";
import { Random } from "../../../src/checks/random.ts";

for (const [d_state, length, step] of [[8, 96, 0.05], [16, 784, 0.01]] as const) {
  Deno.test(`S4's kernel by the recurrence is the one by its generating function, d_state ${d_state}, length ${length}`, () => {
    const pairs = hippoPairs(d_state);
    const C = new Random(3).normal(d_state);
    const column = (of: (pair: typeof pairs[number]) => number) => Float64Array.from(pairs, of);
    const both = (of: (pair: typeof pairs[number]) => readonly number[]) =>
      Float64Array.from(pairs.flatMap((pair) => [...of(pair)]));
    const sizes = { d_model: 1, d_state };
    const system = s4System({
      Lambda_re: column(({ Lambda }) => Lambda[0]),
      Lambda_im: column(({ Lambda }) => Lambda[1]),
      P: both(({ P }) => P),
      B: both(({ B }) => B),
      log_step: [Math.log(step)],
    }, sizes);
    const table = s4Series({ system, C, D: [0] }, { ...sizes, chunk: length, lowRank: true });
    const expected = s4Kernel({
      Lambda: pairs.map(({ Lambda }) => Lambda),
      P: pairs.map(({ P }) => P),
      B: pairs.map(({ B }) => B),
      C: pairs.map((_, n) => [C[2 * n] ?? NaN, C[2 * n + 1] ?? NaN]),
      step,
    }, length);
    const largest = Math.max(...expected.map(Math.abs));
    for (const [l, value] of expected.entries()) {
      const error = Math.abs((table[l] ?? NaN) - value) / largest;
      assert(error < 1e-9, `K[${l}] is ${table[l]}, expected ${value}`);
    }
  });
}
