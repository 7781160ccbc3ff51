import { Random } from "../random.ts";
import { meanPoolBwd as reference } from "../reference/mean_pool_bwd.ts";
import { checkKernel, ELEMENTWISE, EXACT, type KernelCheck } from "../kernel_check.ts";

interface PoolBwdCase {
  readonly name: string;
  readonly batch: number;
  readonly seqlen: number;
  readonly d_model: number;
  /** Steps before. */
  readonly count?: number;
}

const CASES: readonly PoolBwdCase[] = [
  { name: "mamba-130m, 17 steps, batch 2", batch: 2, seqlen: 17, d_model: 768 },
  { name: "odd sizes, batch 3", batch: 3, seqlen: 65, d_model: 52 },
  { name: "odd sizes, batch 3, from a state", batch: 3, seqlen: 17, d_model: 52, count: 9 },
  { name: "one step", batch: 5, seqlen: 1, d_model: 65 },
  { name: "784 steps", batch: 2, seqlen: 784, d_model: 3 },
  { name: "all sizes 1", batch: 1, seqlen: 1, d_model: 1 },
];

function poolCheck(each: PoolBwdCase, seed: number, mean: boolean): KernelCheck {
  return {
    kernel: "mean_pool_bwd",
    name: `${mean ? "mean" : "last step"}, ${each.name}`,
    ...checkKernel(["lastStepBwd", "meanPoolBwd"], (run) => {
      const { batch, seqlen, d_model, count = 0 } = each;
      const gradLast = new Random(seed).normal(batch * d_model);
      // The oracle takes a gradient for each step's mean: only that of the last is not zero.
      const gradSteps = new Float32Array(batch * seqlen * d_model);
      for (let b = 0; b < batch; b++) {
        const own = gradLast.subarray(b * d_model, (b + 1) * d_model);
        gradSteps.set(own, ((b + 1) * seqlen - 1) * d_model);
      }
      const grad_x = run.output(gradSteps.length);
      const tensors = { grad_y: run.input(gradLast), grad_x };
      const shape = { batch, seqlen, d_model, label: "check" };
      if (mean) {
        run.ops.meanPoolBwd(run.program, tensors, { ...shape, count });
        const expected = reference(gradSteps, shape, count).grad_x;
        run.expect("grad_x", grad_x, expected, ELEMENTWISE);
      } else {
        run.ops.lastStepBwd(run.program, tensors, shape);
        run.expect("grad_x", grad_x, gradSteps, EXACT);
      }
    }),
  };
}

/** Checks of mean_pool_bwd. */
export const MEAN_POOL_BWD_CHECKS: readonly KernelCheck[] = CASES.flatMap((each, seed) => [
  poolCheck(each, seed, true),
  poolCheck(each, seed, false),
]);
