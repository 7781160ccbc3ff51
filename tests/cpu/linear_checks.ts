import {
  matmulFwd,
  MATVEC_MAX_ROWS,
  type MatvecFusion,
  matvecFwd,
} from "../../src/cpu/ops/linear.ts";
import type { CpuMatrixDType } from "../../src/cpu/matrix.ts";
import { MAMBA_130M, MATMUL_CASES, type MatmulCase, ODD } from "../../src/checks/cases.ts";
import { Random } from "../../src/checks/random.ts";
import { conv1dFwd } from "../../src/checks/reference/conv1d.ts";
import { matmulFwd as reference } from "../../src/checks/reference/matmul.ts";
import { rmsNormFwd } from "../../src/checks/reference/rms_norm.ts";
import { roundedWeight } from "../../src/checks/ops/rounded_weight.ts";
import { spreadRows } from "../../src/checks/ops/spread_rows.ts";
import {
  checkOp,
  type CpuCheck,
  type CpuRun,
  ELEMENTWISE,
  type Limits,
  SENTINEL,
} from "./cpu_check.ts";

interface LinearCase extends MatmulCase {
  readonly dtype?: CpuMatrixDType;
  readonly ldX?: number;
  readonly xOffset?: number;
  readonly ldY?: number;
  /** Times the values of x. */
  readonly scale?: number;
  /** For the matvec alone. */
  readonly norm?: boolean;
  readonly conv?: {
    readonly d_inner: number;
    readonly d_conv: number;
    readonly bias: boolean;
    readonly start?: number;
  };
}

const DTYPES: readonly CpuMatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];

/** Rows of any length, from aligned and unaligned starts: both ops serve these. */
function layoutCases(rows: number, d_ins: readonly number[]): LinearCase[] {
  const base = { bias: true, residual: true, seed: 3, rows };
  return [
    ...d_ins.map((d_in) => ({ ...base, name: `${rows} rows of ${d_in}`, in: d_in, out: 13 })),
    {
      ...base,
      name: `${rows} rows from step 2 of each sequence`,
      in: 52,
      out: 29,
      ldX: 260,
      xOffset: 104,
    },
    { ...base, name: `${rows} rows of 8, unaligned start`, in: 8, out: 5, ldX: 11, xOffset: 3 },
    { ...base, name: `${rows} rows of 8, unaligned step`, in: 8, out: 5, ldX: 13, xOffset: 4 },
    { ...base, name: `${rows} rows into wider rows`, in: 24, out: 10, ldY: 17 },
    ...DTYPES.slice(1).map((dtype) => ({
      ...base,
      name: `${rows} rows of 101, ${dtype}`,
      in: 101,
      out: 67,
      dtype,
    })),
    // Around a block of weights, and around several.
    ...DTYPES.flatMap((dtype) =>
      [1, 7, 8, 9, 31, 32, 33, 256, 257].map((d_in) => ({
        ...base,
        name: `${rows} rows of ${d_in}, ${dtype}`,
        in: d_in,
        out: 6,
        dtype,
      }))
    ),
    // Activations far from 1, for what is kept in fixed point or scaled.
    ...DTYPES.flatMap((dtype) =>
      [1e-12, 1e9].map((scale) => ({
        ...base,
        name: `${rows} rows at ${scale}, ${dtype}`,
        in: 101,
        out: 6,
        dtype,
        scale,
        bias: false,
        residual: false,
      }))
    ),
  ];
}

/** Aligned and not. */
const D_INS: readonly number[] = [1, 3, 5, 8, 52, 101, 156, 768];

const MATMUL: readonly LinearCase[] = [
  ...MATMUL_CASES,
  ...layoutCases(3, [3, 101]),
  ...layoutCases(5, [3, 101]),
  ...layoutCases(66, [3, 101]),
  ...DTYPES.slice(1).map((dtype) => ({
    name: `mamba-130m x_proj, 17 rows, ${dtype}`,
    rows: 17,
    in: 1536,
    out: 80,
    bias: false,
    residual: false,
    seed: 4,
    dtype,
  })),
  // Around a block of rows.
  ...[95, 96, 97, 200].map((rows) => ({
    name: `${rows} rows in blocks`,
    rows,
    in: 17,
    out: 29,
    bias: true,
    residual: true,
    seed: 5,
    ldX: 23,
    xOffset: 3,
    ldY: 31,
  })),
];

const inProj = (shape: typeof ODD) => ({
  in: shape.d_model,
  out: 2 * shape.d_inner,
  bias: false,
  residual: false,
  norm: true,
  conv: { d_inner: shape.d_inner, d_conv: shape.d_conv, bias: true },
});

const MATVEC: readonly LinearCase[] = [
  ...MATMUL_CASES.filter(({ rows }) => rows <= MATVEC_MAX_ROWS),
  ...layoutCases(1, D_INS),
  ...layoutCases(3, D_INS),
  ...layoutCases(6, [3, 52]),
  ...layoutCases(2, D_INS).filter(({ scale }) => scale === undefined).map((each) => ({
    ...each,
    name: `norm, ${each.name}`,
    norm: true,
  })),
  ...DTYPES.map((dtype) => ({
    ...inProj(MAMBA_130M),
    name: `mamba-130m norm, in_proj and conv1d, ${dtype}`,
    rows: 1,
    seed: 5,
    dtype,
  })),
  ...DTYPES.map((dtype) => ({
    ...inProj(ODD),
    name: `odd norm, in_proj and conv1d, batch 3, ${dtype}`,
    rows: 3,
    seed: 6,
    bias: true,
    dtype,
  })),
  {
    ...inProj(ODD),
    name: "odd in_proj and conv1d without bias",
    rows: 2,
    seed: 7,
    norm: false,
    conv: { d_inner: 150, d_conv: 4, bias: false },
  },
  {
    ...inProj(ODD),
    name: "Mamba-2's in_proj, of z, what conv1d reads, and dt",
    rows: 2,
    seed: 11,
    conv: { d_inner: 200, d_conv: ODD.d_conv, bias: true, start: 101 },
  },
  ...[1, 2, 4, 5, 8, 32, 37].map((d_conv) => ({
    ...inProj(ODD),
    name: `conv1d of ${d_conv}`,
    rows: 2,
    seed: 8,
    conv: { d_inner: 154, d_conv, bias: true, start: 2 },
  })),
  {
    ...inProj({ ...ODD, d_model: 1, d_inner: 1, d_conv: 1 }),
    name: "norm, in_proj and conv1d, all sizes 1",
    rows: 1,
    seed: 9,
  },
];

/** Sums of `in` products of typical size 1 / sqrt(in), which keeps results as large as inputs, then bias and residual. */
function sumLimits(d_in: number, scale: number): Limits {
  return { rtol: ELEMENTWISE.rtol, atol: 1e-7 * (Math.sqrt(d_in) + 2) * scale };
}

/** Makes tensors, records the op through `record`, and compares y and conv_state. */
function checkLinear(run: CpuRun, each: LinearCase, op: "matmulFwd" | "matvecFwd"): void {
  const { rows, in: d_in, out, dtype = "f32", scale = 1 } = each;
  const { ldX = d_in, xOffset = 0, ldY = out } = each;
  const random = new Random(each.seed);
  const shape = { rows, in: d_in, out };
  const weight = roundedWeight(random.linear(out, d_in), dtype, d_in);
  const x = random.normal(rows * d_in, scale);
  const bias = each.bias ? random.normal(out, 0.3) : undefined;
  const residual = each.residual ? random.normal(rows * out) : undefined;
  const matrix = run.matrix(weight, [out, d_in]);
  const strided = spreadRows(x, d_in, ldX, NaN, xOffset);
  const y = run.state(
    spreadRows(residual ?? new Float32Array(rows * out).fill(SENTINEL), out, ldY, SENTINEL),
  );
  const tensors = { x: run.input(strided), weight: matrix, bias: bias && run.input(bias), y };
  const options = { rows, ldX, xOffset, ldY, residual: each.residual, label: "check" };
  let limits = sumLimits(d_in, scale);

  if (op === "matmulFwd") {
    matmulFwd(run.program, tensors, options);
    const expected = reference(x, weight.values, bias, shape, residual);
    run.expect("y", y, spreadRows(expected, out, ldY, SENTINEL), limits);
    return;
  }

  let fusion: MatvecFusion = {};
  let input: Float32Array | Float64Array = x;
  if (each.norm) {
    const eps = 1e-5;
    const normWeight = random.normWeight(d_in);
    input = rmsNormFwd(x, normWeight, { rows, d_model: d_in, eps });
    fusion = { norm: { weight: run.input(normWeight), eps } };
  }
  const expected = reference(input, weight.values, bias, shape);
  if (each.conv !== undefined) {
    const { d_inner, d_conv, start = 0 } = each.conv;
    const convWeight = random.normal(d_inner * d_conv, 0.5);
    const convBias = each.conv.bias ? random.normal(d_inner, 0.3) : undefined;
    const state = random.normal(rows * d_inner * d_conv);
    const conv_state = run.state(state);
    const weight = run.input(convWeight);
    const bias = convBias && run.input(convBias);
    fusion = { ...fusion, conv: { weight, bias, state: conv_state, d_conv, d_inner, start } };
    const newest = new Float64Array(rows * d_inner);
    for (let b = 0; b < rows; b++) {
      const first = b * out + start;
      newest.set(expected.subarray(first, first + d_inner), b * d_inner);
    }
    const sizes = { batch: rows, seqlen: 1, d_inner, d_conv };
    const conv = conv1dFwd(newest, convWeight, convBias, state, sizes);
    for (let b = 0; b < rows; b++) {
      expected.set(conv.y.subarray(b * d_inner, (b + 1) * d_inner), b * out + start);
    }
    // The sum's error goes through one tap, of at most about 2 in these normal weights, and through SiLU.
    limits = { rtol: limits.rtol, atol: 2 * limits.atol + ELEMENTWISE.atol };
    run.expect("conv_state", conv_state, conv.conv_state, limits);
  }
  matvecFwd(run.program, tensors, options, fusion);
  residual?.forEach((value, i) => expected[i] = (expected[i] ?? NaN) + value);
  run.expect("y", y, spreadRows(expected, out, ldY, SENTINEL), limits);
}

/** Checks of matmulFwd() and matvecFwd(). */
export const LINEAR_CHECKS: readonly CpuCheck[] = [
  ...MATMUL.map((each): CpuCheck => ({
    op: "matmulFwd",
    name: each.name,
    run: checkOp((run) => checkLinear(run, each, "matmulFwd")),
  })),
  ...MATVEC.map((each): CpuCheck => ({
    op: "matvecFwd",
    name: each.name,
    run: checkOp((run) => checkLinear(run, each, "matvecFwd")),
  })),
];
