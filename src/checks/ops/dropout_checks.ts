import { Random } from "../random.ts";
import { dropout as reference } from "../reference/dropout.ts";
import { checkKernel, ELEMENTWISE, EXACT, type KernelCheck } from "../kernel_check.ts";

interface DropoutCase {
  readonly name: string;
  readonly size: number;
  readonly probability: number;
  readonly seed?: number;
  readonly site?: number;
  readonly draw?: number;
  readonly accumulate?: boolean;
}

const CASES: readonly DropoutCase[] = [
  ...[1, 255, 256, 257].map((size) => ({ name: `${size} elements`, size, probability: 0.5 })),
  { name: "nothing is dropped", size: 1000, probability: 0 },
  { name: "one in ten", size: 1000, probability: 0.1, draw: 3 },
  { name: "nearly everything", size: 1000, probability: 0.999 },
  { name: "another layer", size: 1000, probability: 0.2, site: 2047, draw: 7 },
  { name: "the largest seed", size: 1000, probability: 0.2, seed: 2 ** 53 - 1, site: 5 },
  { name: "the last draw", size: 1000, probability: 0.2, draw: 0xffffffff },
  { name: "adds to the residual", size: 1000, probability: 0.3, accumulate: true },
];

/** Checks of dropout. */
export const DROPOUT_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((each, index): KernelCheck => ({
    kernel: "dropout",
    name: each.name,
    ...checkKernel(["dropout"], (run) => {
      const { size, probability, seed = 7, site = 0, draw = 0, accumulate = false } = each;
      const random = new Random(index);
      const x = random.normal(size);
      const before = random.normal(size, accumulate ? 1 : 0);
      const y = accumulate ? run.state(before) : run.output(size);
      const tensors = { x: run.input(x), draw: run.input(new Uint32Array([draw])), y };
      const shape = { size, probability, seed, site, accumulate, label: "check" };
      run.ops.dropout(run.program, tensors, shape);
      const key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32) + site * 2 ** 21] as const;
      const expected = reference(x, key, { probability, draw });
      run.expect("y", y, expected.map((v, i) => v + (before[i] ?? NaN)), ELEMENTWISE);
    }),
  })),
  {
    kernel: "dropout",
    name: "the gradient has the forward's mask",
    ...checkKernel(["dropout"], (run) => {
      const size = 3000;
      const ones = run.input(new Float32Array(size).fill(1));
      const draw = run.input(new Uint32Array([12]));
      const shape = { size, probability: 0.5, seed: 3, site: 1, label: "check" };
      const [y, grad_x] = [run.output(size), run.output(size)];
      run.ops.dropout(run.program, { x: ones, draw, y }, shape);
      run.ops.dropout(run.program, { x: y, draw, y: grad_x }, shape);
      const expected = reference(new Float32Array(size).fill(1), [3, 2 ** 21], {
        probability: 0.5,
        draw: 12,
      });
      run.expect("y", y, expected, EXACT);
      // Dropped twice what was dropped once, and doubled twice what was not.
      run.expect("grad_x", grad_x, expected.map((v) => 2 * v), EXACT);
    }),
  },
];
