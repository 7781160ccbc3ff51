import { conv1dFwd as forward } from "../reference/conv1d.ts";
import { conv1dBwd as reference } from "../reference/conv1d_bwd.ts";
import { ODD, SEQUENCE_CASES } from "../cases.ts";
import { Random } from "../random.ts";
import { checkKernel, type KernelCheck, type KernelRun, type Limits } from "../kernel_check.ts";
import { stepsOf } from "./steps_of.ts";

/** Five times the forward's. */
const CONV_BWD: Limits = { rtol: 5e-5, atol: 5e-6 };

/** For sums over thousands of steps, whose terms are of size 1. */
function sumLimits(steps: number): Limits {
  return { rtol: 5e-5, atol: 5e-6 * Math.sqrt(steps) };
}

interface Conv1dBwdCase {
  readonly name: string;
  readonly shape: { readonly d_inner: number; readonly d_conv: number };
  readonly batch: number;
  readonly seqlen: number;
  readonly initialState: boolean;
  readonly bias: boolean;
  /** First column of x and grad_x in their rows of 2 d_inner; default 0. */
  readonly offset?: number;
  /** First steps of the pieces that the sequence is run in, each with a backward of its own; default [0]. */
  readonly starts?: readonly number[];
  /** Whether the loss reads the final window; default true. */
  readonly gradFinal?: boolean;
}

const ODD_CASE = { shape: ODD, batch: 2, initialState: true, bias: true };

const CASES: readonly Conv1dBwdCase[] = [
  ...SEQUENCE_CASES,
  // Around the tile of 32 steps; segments of several tiles with 100 and 200 entries.
  ...[31, 32, 33, 97].map((seqlen) => ({
    ...ODD_CASE,
    name: `odd sizes, batch 2, seqlen ${seqlen}`,
    seqlen,
  })),
  {
    ...ODD_CASE,
    name: "batch 200, seqlen 70",
    shape: { d_inner: 3, d_conv: 4 },
    batch: 200,
    seqlen: 70,
  },
  {
    ...ODD_CASE,
    name: "batch 100, seqlen 97",
    shape: { d_inner: 3, d_conv: 4 },
    batch: 100,
    seqlen: 97,
  },
  { ...ODD_CASE, name: "no gradient of the final window", seqlen: 33, gradFinal: false },
  { ...ODD_CASE, name: "columns from 156 on", seqlen: 35, offset: 156 },
  ...[[8, 3], [8, 65], [16, 33], [29, 70], [32, 5], [32, 97], [1, 40]].map((
    [d_conv = 0, seqlen = 0],
  ) => ({
    ...ODD_CASE,
    name: `d_conv ${d_conv}, seqlen ${seqlen}`,
    shape: { d_inner: 65, d_conv },
    seqlen,
  })),
  ...[[0, 1], [0, 2, 3], [0, 32], [0, 7, 40]].map((starts) => ({
    ...ODD_CASE,
    name: `odd sizes, seqlen 49, from steps ${starts.join(", ")}`,
    seqlen: 49,
    starts,
  })),
];

/** values (rows, width) as the columns from `first` on of rows of twice the width, over `filler`. */
function halfOf<T extends Float32Array | Float64Array>(
  values: Float32Array,
  width: number,
  first: number,
  filler: T,
): T {
  for (let row = 0; row < values.length / width; row++) {
    filler.set(values.subarray(row * width, (row + 1) * width), first + 2 * row * width);
  }
  return filler;
}

function recordCase(
  run: KernelRun<"conv1dBwd" | "conv1dBwdScratch">,
  each: Conv1dBwdCase,
  seed: number,
): void {
  const { shape: { d_inner, d_conv }, batch, seqlen, starts = [0], gradFinal = true, offset = 0 } =
    each;
  const random = new Random(seed);
  const whole = { batch, seqlen, d_inner, d_conv };
  const x = random.normal(batch * seqlen * d_inner);
  const weight = random.normal(d_inner * d_conv, 1 / Math.sqrt(d_conv));
  const bias = each.bias ? random.normal(d_inner, 0.3) : undefined;
  const state = random.normal(batch * d_inner * d_conv, each.initialState ? 1 : 0);
  const grad_y = random.normal(batch * seqlen * d_inner);
  const final = gradFinal ? random.normal(batch * d_inner * d_conv) : undefined;
  const expected = reference(x, weight, bias, state, grad_y, whole, final);

  const weights = bias === undefined
    ? { weight: run.input(weight) }
    : run.together({ weight: { input: weight }, bias: { input: bias } });
  const grad_weight = run.output(d_inner * d_conv);
  const grad_bias = bias && run.output(d_inner);
  let grad_final = final && run.input(final);
  const pieces = starts.map((first, i) => [first, starts[i + 1] ?? seqlen] as const).toReversed();
  for (const [first, end] of pieces) {
    const piece = { ...whole, seqlen: end - first };
    const rows = batch * piece.seqlen;
    const part = (values: Float32Array | Float64Array) =>
      stepsOf(values, [batch, seqlen], [first, end]);
    const before = stepsOf(x, [batch, seqlen], [0, first]);
    const initial = forward(before, weight, bias, state, { ...whole, seqlen: first }).conv_state;
    const partials = run.scratch("partials", run.ops.conv1dBwdScratch(piece));
    const filler = random.normal(rows * 2 * d_inner);
    const grad_x = run.state(filler);
    const grad_conv_state = run.output(state.length);
    const xz = new Float32Array(rows * 2 * d_inner).fill(NaN);
    const tensors = {
      ...weights,
      x: run.input(halfOf(part(x), d_inner, offset, xz)),
      conv_state: run.input(Float32Array.from(initial)),
      grad_y: run.input(part(grad_y)),
      grad_final,
      grad_x,
      grad_conv_state,
      grad_weight,
      grad_bias,
      partials,
    };
    run.ops.conv1dBwd(run.program, tensors, {
      ...piece,
      ldX: 2 * d_inner,
      xOffset: offset,
      ldGradX: 2 * d_inner,
      gradXOffset: offset,
      accumulate: end < seqlen,
      label: "check",
    });
    const grads = halfOf(part(expected.grad_x), d_inner, offset, Float64Array.from(filler));
    run.expect("grad_x", grad_x, grads, CONV_BWD);
    if (first === 0) {
      run.expect("grad_conv_state", grad_conv_state, expected.grad_conv_state, CONV_BWD);
    } else {
      // The piece before reads it as its final window's.
      run.expectAnything("grad_conv_state", grad_conv_state);
    }
    grad_final = grad_conv_state;
  }
  const limits = sumLimits(batch * seqlen);
  run.expect("grad_weight", grad_weight, expected.grad_weight, limits);
  if (grad_bias) run.expect("grad_bias", grad_bias, expected.grad_bias, limits);
}

/** Checks of conv1d_bwd, with x and grad_x as halves of the rows of xz and grad_xz. */
export const CONV1D_BWD_CHECKS: readonly KernelCheck[] = CASES.map((each, seed) => ({
  kernel: "conv1d_bwd",
  name: each.name,
  ...checkKernel(["conv1dBwd", "conv1dBwdScratch"], (run) => recordCase(run, each, seed)),
}));
