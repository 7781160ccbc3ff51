import { Random } from "../random.ts";
import { gatedRmsNormFwd as reference } from "../reference/gated_rms_norm.ts";
import { gatedRmsNormBwd as backward } from "../reference/gated_rms_norm_bwd.ts";
import { checkKernel, ELEMENTWISE, type KernelCheck, type KernelRun } from "../kernel_check.ts";

interface GatedRmsNormCase {
  readonly rows: number;
  readonly d_inner: number;
  readonly group_size: number;
  readonly norm_before_gate: boolean;
  /** Whether there is a norm at all; default true. */
  readonly norm?: boolean;
  /** How z and its gradient lie in rows of another's columns; default: d_inner and 0. */
  readonly ldZ?: number;
  readonly zOffset?: number;
  /** How large y is: at 1e-3 eps decides the result. */
  readonly scale?: number;
  /** Adds to the weight's gradient. */
  readonly accumulate?: boolean;
}

const CASES: readonly GatedRmsNormCase[] = [false, true].flatMap((norm_before_gate) => [
  { rows: 2, d_inner: 1536, group_size: 1536, norm_before_gate },
  // Around the 128 lanes of a group, and the 16 of a row's sums in the backward.
  ...[1, 15, 16, 17, 127, 129, 257].map((group_size) => ({
    rows: 3,
    d_inner: 2 * group_size,
    group_size,
    norm_before_gate,
  })),
  { rows: 35, d_inner: 96, group_size: 12, norm_before_gate },
  { rows: 5, d_inner: 52, group_size: 26, norm_before_gate, ldZ: 131, zOffset: 3 },
  { rows: 5, d_inner: 65, group_size: 65, norm_before_gate, scale: 1e-3 },
  { rows: 5, d_inner: 65, group_size: 65, norm_before_gate, scale: 0 },
  // From 512 tiles of 16 rows on, a workgroup of the backward has several tiles.
  { rows: 8193, d_inner: 6, group_size: 3, norm_before_gate, accumulate: true },
  { rows: 19, d_inner: 70, group_size: 70, norm_before_gate, norm: false, ldZ: 80, zOffset: 1 },
]);

const EPS = 1e-5;

function nameOf(each: GatedRmsNormCase): string {
  return Object.entries(each).map(([name, value]) => `${name} ${value}`).join(", ");
}

/** Rows of d_inner columns at a stride and an offset, over `filler`. */
function spread<T extends Float32Array | Float64Array>(
  values: ArrayLike<number>,
  { d_inner, ldZ = d_inner, zOffset = 0 }: GatedRmsNormCase,
  filler: T,
): T {
  for (let i = 0; i < values.length; i++) {
    filler[zOffset + Math.floor(i / d_inner) * ldZ + i % d_inner] = values[i] ?? NaN;
  }
  return filler;
}

function data(each: GatedRmsNormCase, seed: number) {
  const { rows, d_inner, ldZ = d_inner, zOffset = 0, scale = 1, norm = true } = each;
  const random = new Random(seed);
  const y = random.normal(rows * d_inner, scale);
  const z = random.normal(rows * d_inner);
  const spreadLength = zOffset + (rows - 1) * ldZ + d_inner;
  return {
    random,
    y,
    z,
    weight: norm ? random.normWeight(d_inner) : undefined,
    shape: { ...each, eps: EPS, label: "check" },
    // What lies between the rows is NaN, so that a read beside a row shows.
    spreadZ: spread(z, each, new Float32Array(spreadLength).fill(NaN)),
    spreadLength,
  };
}

function recordForward(
  run: KernelRun<"gatedRmsNormFwd">,
  each: GatedRmsNormCase,
  seed: number,
): void {
  const { y, z, weight, shape, spreadZ } = data(each, seed);
  const out = run.output(y.length);
  run.ops.gatedRmsNormFwd(
    run.program,
    { y: run.input(y), z: run.input(spreadZ), weight: weight && run.input(weight), out },
    shape,
  );
  run.expect("out", out, reference(y, z, weight, shape), ELEMENTWISE);
}

function recordBackward(
  run: KernelRun<"gatedRmsNormBwd" | "gatedRmsNormBwdParts">,
  each: GatedRmsNormCase,
  seed: number,
): void {
  const { random, y, z, weight, shape, spreadZ, spreadLength } = data(each, seed);
  const { rows, d_inner, scale = 1, accumulate = false } = each;
  const gradOut = random.normal(rows * d_inner);
  const filler = random.normal(spreadLength);
  const before = random.normal(d_inner, accumulate ? 1 : 0);
  const [grad_out, grad_z] = [run.state(gradOut), run.state(filler)];
  const norm = weight && {
    weight: run.input(weight),
    partials: run.scratch("partials", run.ops.gatedRmsNormBwdParts(rows) * d_inner),
    grad_weight: accumulate ? run.state(before) : run.output(d_inner),
  };
  run.ops.gatedRmsNormBwd(
    run.program,
    { y: run.input(y), z: run.input(spreadZ), grad_out, grad_z, norm },
    { ...shape, ldGradZ: each.ldZ ?? d_inner, gradZOffset: each.zOffset ?? 0 },
  );
  const expected = backward(y, z, weight, gradOut, shape);
  // Five times the forward's limits; as large as rstd, by which gradients are multiplied.
  const size = scale === 1 ? 1 : 1 / Math.sqrt(EPS);
  const limits = { rtol: 5e-5, atol: 5e-6 * size };
  run.expect("grad_y", grad_out, expected.grad_y, limits);
  run.expect("grad_z", grad_z, spread(expected.grad_z, each, Float64Array.from(filler)), limits);
  if (norm === undefined || expected.grad_weight === undefined) return;
  run.expect(
    "grad_weight",
    norm.grad_weight,
    expected.grad_weight.map((v, i) => v + (before[i] ?? NaN)),
    {
      rtol: 5e-5,
      atol: 5e-6 * Math.sqrt(rows),
    },
  );
}

/** Checks of gated_rms_norm_fwd and gated_rms_norm_bwd. */
export const GATED_RMS_NORM_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((each, seed) => ({
    kernel: "gated_rms_norm_fwd",
    name: nameOf(each),
    ...checkKernel(["gatedRmsNormFwd"], (run) => recordForward(run, each, seed)),
  })),
  ...CASES.map((each, seed) => ({
    kernel: "gated_rms_norm_bwd",
    name: nameOf(each),
    ...checkKernel(
      ["gatedRmsNormBwd", "gatedRmsNormBwdParts"],
      (run) => recordBackward(run, each, seed),
    ),
  })),
];
