import { meanPoolFwd } from "../../src/cpu/ops/mean_pool.ts";
import { Random } from "../../src/checks/random.ts";
import { meanPool } from "../../src/checks/reference/mean_pool.ts";
import { checkOp, type CpuCheck, ELEMENTWISE } from "./cpu_check.ts";

interface MeanPoolCase {
  readonly name: string;
  readonly batch: number;
  readonly seqlen: number;
  readonly d_model: number;
  /** Steps before this call. */
  readonly count: number;
}

const CASES: readonly MeanPoolCase[] = [
  { name: "mamba-130m, first step", batch: 1, seqlen: 1, d_model: 768, count: 0 },
  { name: "odd sizes, 65 steps", batch: 1, seqlen: 65, d_model: 52, count: 0 },
  { name: "odd sizes, batch 3, from a state", batch: 3, seqlen: 17, d_model: 52, count: 9 },
  { name: "one step after 783", batch: 2, seqlen: 1, d_model: 64, count: 783 },
  { name: "one past the lanes, 2 steps", batch: 2, seqlen: 2, d_model: 65, count: 1 },
  { name: "all sizes 1", batch: 1, seqlen: 1, d_model: 1, count: 0 },
];

/** Checks of meanPoolFwd(). */
export const MEAN_POOL_CHECKS: readonly CpuCheck[] = CASES.map((each, seed) => ({
  op: "meanPoolFwd",
  name: each.name,
  run: checkOp((run) => {
    const { batch, seqlen, d_model, count } = each;
    const random = new Random(seed);
    const x = random.normal(batch * seqlen * d_model);
    const means = random.normal(batch * d_model, count > 0 ? 0.3 : 0);
    const sum = Float64Array.from(means, (mean) => mean * count);

    const pool_state = run.state(poolState(means, count, d_model));
    const y = run.output(x.length);
    meanPoolFwd(run.program, { x: run.input(x), pool_state, y }, {
      batch,
      seqlen,
      d_model,
      label: "check",
    });
    const expected = meanPool(x, { batch, seqlen, d_model }, { sum, count });
    const after = expected.state.sum.map((total) => total / expected.state.count);
    run.expect("y", y, expected.y, ELEMENTWISE);
    run.expect(
      "pool_state",
      pool_state,
      poolState(after, expected.state.count, d_model),
      ELEMENTWISE,
    );
  }),
}));

/** (batch, 2, d_model): means, then the count in every channel. */
function poolState(
  means: Float32Array | Float64Array,
  count: number,
  d_model: number,
): Float32Array {
  const state = new Float32Array(means.length * 2).fill(count);
  for (let start = 0; start < means.length; start += d_model) {
    state.set(means.subarray(start, start + d_model), 2 * start);
  }
  return state;
}
