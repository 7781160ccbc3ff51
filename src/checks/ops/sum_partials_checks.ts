import { Random } from "../random.ts";
import { checkKernel, ELEMENTWISE, type KernelCheck } from "../kernel_check.ts";

const SIZES: readonly (readonly [parts: number, size: number])[] = [
  [1, 1],
  [1, 33],
  [2, 31],
  [7, 32],
  [8, 100],
  [9, 5],
  [31, 64],
  [33, 65],
  [512, 52],
];

/** Checks of sum_partials. */
export const SUM_PARTIALS_CHECKS: readonly KernelCheck[] = SIZES.flatMap(([parts, size], seed) =>
  [false, true].map((accumulate): KernelCheck => ({
    kernel: "sum_partials",
    name: `${parts} parts of ${size}${accumulate ? ", added" : ""}`,
    ...checkKernel(["sumPartials"], (run) => {
      const random = new Random(seed);
      const partials = random.normal(parts * size);
      const before = random.normal(size);
      const expected = Array.from(
        before,
        (value, i) =>
          partials.reduce(
            (sum, partial, index) => index % size === i ? sum + partial : sum,
            accumulate ? value : 0,
          ),
      );
      const y = run.state(before);
      run.ops.sumPartials(run.program, { partials: run.input(partials), y }, {
        parts,
        size,
        accumulate,
        label: "check",
      });
      const { rtol, atol } = ELEMENTWISE;
      run.expect("y", y, expected, { rtol, atol: atol * Math.sqrt(parts) });
    }),
  }))
);
