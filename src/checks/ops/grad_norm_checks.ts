import { CLIP_SIZE, gradNormParts, NORM_PART } from "../../model/grad_norm.ts";
import { Random } from "../random.ts";
import { clipFactor, globalNorm } from "../reference/global_norm.ts";
import { checkKernel, floatsOf, type KernelCheck, type Measurement } from "../kernel_check.ts";

interface GradNormCase {
  readonly name: string;
  readonly size: number;
  readonly maxNorm: number;
  /** Size of the elements. */
  readonly scale?: number;
  /** Element `at` (default 0) has this value. */
  readonly poison?: number;
  readonly at?: number;
}

/** Elements of a part in src/ops: another executor may have its edges elsewhere. */
const PART = 1024;

const CASES: readonly GradNormCase[] = [
  { name: "one element", size: 1, maxNorm: 1 },
  ...[255, 256, 257, PART - 1, PART, PART + 1].map((size) => ({
    name: `${size} elements`,
    size,
    maxNorm: 1,
  })),
  { name: "more parts than lanes", size: PART * 258 + 1, maxNorm: 5 },
  { name: "a norm below the limit", size: 110, maxNorm: 1, scale: 1e-3 },
  { name: "no limit", size: 1000, maxNorm: Infinity },
  { name: "zeros", size: 1000, maxNorm: 1, scale: 0 },
  { name: "large gradients", size: 1000, maxNorm: 1, scale: 1e15 },
  {
    name: "NaN is kept, and changes nothing",
    size: 2 * PART + 5,
    maxNorm: 1,
    poison: NaN,
    at: 2 * PART,
  },
  {
    name: "infinity is kept, and changes nothing",
    size: 2 * PART,
    maxNorm: 1,
    poison: Infinity,
    at: 2 * PART - 1,
  },
  { name: "no limit, NaN", size: 5, maxNorm: Infinity, poison: NaN },
  { name: "squares that overflow", size: 5, maxNorm: 1, poison: 1e30 },
];

/** Which partial is not finite: that of the element's part. */
function judgePartials(
  { poison, at = 0 }: GradNormCase,
  partials: Float32Array,
  part: number,
): Measurement {
  const expected = poison === undefined ? -1 : Math.floor(at / part);
  const found = partials.findIndex((sum) => !Number.isFinite(sum));
  const detail = `the first partial that is not finite is ${found}, expected ${expected}`;
  return { worst: found === expected ? 0 : Infinity, detail };
}

function judgePoisoned([factor = NaN, norm = NaN]: Float32Array): Measurement {
  const ok = factor === 0 && !Number.isFinite(norm);
  return { worst: ok ? 0 : Infinity, detail: `the factor is ${factor}, the norm ${norm}` };
}

function gradNormCheck(kernel: string, each: GradNormCase, seed: number): KernelCheck {
  return {
    kernel,
    name: each.name,
    ...checkKernel(["gradNorm"], (run) => {
      const { size, maxNorm, scale = 1, poison, at = 0 } = each;
      const values = new Random(seed).uniform(size, -scale, scale);
      if (poison !== undefined) values[at] = poison;
      const partials = run.output(gradNormParts(size));
      const clip = run.output(CLIP_SIZE);
      const gradients = run.input(values);
      run.ops.gradNorm(run.program, { gradients, partials, clip }, {
        size,
        maxNorm,
        label: "check",
      });
      run.expectThat(
        "partials",
        partials,
        (words) => judgePartials(each, floatsOf(words), NORM_PART),
      );
      if (poison !== undefined) {
        run.expectThat("clip", clip, (words) => judgePoisoned(floatsOf(words)));
        return;
      }
      const norm = globalNorm([values]);
      const factor = clipFactor(norm, maxNorm);
      run.expect("clip", clip, [factor, norm], { rtol: 1e-5, atol: 1e-30 });
    }),
  };
}

/** Checks of sum_of_squares and clip_factor. */
export const GRAD_NORM_CHECKS: readonly KernelCheck[] = [
  ...CASES.slice(0, 7).map((each, seed) => gradNormCheck("sum_of_squares", each, seed)),
  ...CASES.slice(7).map((each, seed) => gradNormCheck("clip_factor", each, seed + 7)),
];
