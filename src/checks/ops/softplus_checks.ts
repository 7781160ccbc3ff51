import { softplus } from "../reference/activations.ts";
import { checkKernel, type KernelCheck, type Limits } from "../kernel_check.ts";

/** Twice what the prelude promises. A purely relative bound: dt is small where its relative error counts. */
const SOFTPLUS: Limits = { rtol: 4e-6, atol: 1e-38 };

/** Far below, exp() alone may be 3 + 2 |v| units in the last place off, by the standard. */
const FAR_SOFTPLUS: Limits = { rtol: (3 + 2 * 80) * 2 ** -23, atol: 1e-38 };

/** A check over [first, first + 40]. */
function softplusCheck(first: number, limits: Limits): KernelCheck {
  return {
    kernel: "_math",
    name: `softplus from ${first} to ${first + 40}`,
    ...checkKernel(["softplus"], (run) => {
      const size = 3001;
      const x = Float32Array.from({ length: size }, (_, i) => first + i / 75);
      const y = run.output(size);
      run.ops.softplus(run.program, { x: run.input(x), y }, { size, label: "check" });
      run.expect("softplus", y, Float64Array.from(x, softplus), limits);
    }),
  };
}

/** Checks of the function that all else has only within. */
export const SOFTPLUS_CHECKS: readonly KernelCheck[] = [
  softplusCheck(-20, SOFTPLUS),
  softplusCheck(-80, FAR_SOFTPLUS),
];
