import { CLIP_SIZE, gradNorm, gradNormStarts, NORM_PART } from "../../src/ops/grad_norm.ts";
import { Random } from "../random.ts";
import { clipFactor, globalNorm } from "../reference/global_norm.ts";
import { checkKernel, type CheckResult, type KernelCheck } from "./kernel_check.ts";

interface GradNormCase {
  readonly name: string;
  /** Elements of each gradient. */
  readonly sizes: readonly number[];
  readonly maxNorm: number;
  /** Size of the elements. */
  readonly scale?: number;
  /** The first element of the last gradient. */
  readonly poison?: number;
}

const CASES: readonly GradNormCase[] = [
  { name: "one element", sizes: [1], maxNorm: 1 },
  { name: "around the lanes", sizes: [255, 256, 257], maxNorm: 1 },
  { name: "around a part", sizes: [NORM_PART - 1, NORM_PART, NORM_PART + 1, 3], maxNorm: 1 },
  { name: "more parts than lanes", sizes: [NORM_PART * 258 + 1, 7], maxNorm: 5 },
  { name: "more gradients than lanes", sizes: Array.from({ length: 300 }, () => 2), maxNorm: 1 },
  { name: "a norm below the limit", sizes: [100, 10], maxNorm: 1, scale: 1e-3 },
  { name: "no limit", sizes: [1000], maxNorm: Infinity },
  { name: "zeros", sizes: [1000], maxNorm: 1, scale: 0 },
  { name: "large gradients", sizes: [1000], maxNorm: 1, scale: 1e15 },
  { name: "NaN is kept, and changes nothing", sizes: [300, 5], maxNorm: 1, poison: NaN },
  { name: "infinity is kept, and changes nothing", sizes: [5, 300], maxNorm: 1, poison: Infinity },
  { name: "no limit, NaN", sizes: [5], maxNorm: Infinity, poison: NaN },
  { name: "squares that overflow", sizes: [5], maxNorm: 1, poison: 1e30 },
];

/** Which partial of the gradients' own is not finite: that of the last gradient's first part. */
function judgePartials(each: GradNormCase, partials: Float32Array, starts: number[]): CheckResult {
  const expected = each.poison === undefined ? -1 : starts.at(-2);
  const found = partials.findIndex((sum) => !Number.isFinite(sum));
  const detail = `the first partial that is not finite is ${found}, expected ${expected}`;
  return { worst: found === expected ? 0 : Infinity, detail };
}

function judgePoisoned([factor = NaN, norm = NaN]: Float32Array): CheckResult {
  const ok = factor === 0 && !Number.isFinite(norm);
  return { worst: ok ? 0 : Infinity, detail: `the factor is ${factor}, the norm ${norm}` };
}

function gradNormCheck(kernel: string, each: GradNormCase, seed: number): KernelCheck {
  return {
    kernel,
    name: each.name,
    run: checkKernel((run) => {
      const { sizes, maxNorm, scale = 1, poison } = each;
      const random = new Random(seed);
      const gradients = sizes.map((size) => random.uniform(size, -scale, scale));
      if (poison !== undefined) gradients.at(-1)?.set([poison]);
      const starts = gradNormStarts(sizes);
      const partials = run.output(starts.at(-1) ?? 0);
      const clip = run.output(CLIP_SIZE);
      const terms = gradients.map((values, index) => ({
        tensor: run.input(values),
        size: values.length,
        label: `${index}`,
      }));
      gradNorm(run.program, { gradients: terms, partials, clip }, { maxNorm, label: "check" });
      const floats = (words: Uint32Array<ArrayBuffer>) =>
        new Float32Array(words.buffer, words.byteOffset, words.length);
      run.expectThat("partials", partials, (words) => judgePartials(each, floats(words), starts));
      if (poison !== undefined) {
        run.expectThat("clip", clip, (words) => judgePoisoned(floats(words)));
        return;
      }
      const norm = globalNorm(gradients);
      const factor = clipFactor(norm, maxNorm);
      run.expect("clip", clip, [factor, norm], { rtol: 1e-5, atol: 1e-30 });
    }),
  };
}

/** Checks of sum_of_squares and clip_factor. */
export const GRAD_NORM_CHECKS: readonly KernelCheck[] = [
  ...CASES.slice(0, 5).map((each, seed) => gradNormCheck("sum_of_squares", each, seed)),
  ...CASES.slice(5).map((each, seed) => gradNormCheck("clip_factor", each, seed + 5)),
];
