import { isQuantized, type MatrixDType } from "../../model/weights/dtype.ts";
import { MAMBA_130M, MATMUL_CASES, type MatmulCase, ODD } from "../cases.ts";
import { Random } from "../random.ts";
import { conv1dFwd } from "../reference/conv1d.ts";
import { matmulFwd as reference } from "../reference/matmul.ts";
import { rmsNormFwd } from "../reference/rms_norm.ts";
import {
  checkKernel,
  ELEMENTWISE,
  type KernelCheck,
  type KernelRun,
  type Limits,
  SENTINEL,
} from "../kernel_check.ts";
import type { MatvecOptions } from "../../passes/ops/linear_ops.ts";
import type { Opaque } from "../checked_ops.ts";
import { roundedWeight } from "./rounded_weight.ts";
import { spreadRows } from "./spread_rows.ts";

interface LinearCase extends MatmulCase {
  readonly dtype?: MatrixDType;
  readonly ldX?: number;
  readonly xOffset?: number;
  readonly ldY?: number;
  /** How large x is; default 1. */
  readonly scale?: number;
  /** Rows a block, where the weight is to be split. */
  readonly rowsPerBlock?: number;
  /** Whether the weight lies as one that is trained. */
  readonly trained?: boolean;
  /** For the matmul alone. */
  readonly tile?: 32 | 64 | "64 split" | 128;
  /** Of the sums, for the matmul alone. */
  readonly parts?: number;
  /** For the matvec alone. */
  readonly norm?: boolean;
  readonly conv?: {
    readonly d_inner: number;
    readonly d_conv: number;
    readonly bias: boolean;
    readonly start?: number;
  };
  readonly tiling?: MatvecOptions<Opaque>["tiling"];
  readonly way?: MatvecOptions<Opaque>["way"];
}

/** Rows that checks of a GPU's matvec have one by one; more go through kernels of their own. */
const SINGLE_ROWS = 4;

const DTYPES: readonly MatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];

/** Widths around what weights and lanes come in, and rows for which floats have them, too: each case costs a pipeline. */
const WIDE: readonly number[] = [31, 32, 33, 256, 257];
const WIDE_ROWS: ReadonlySet<number> = new Set([1, 5, 8]);

/** Rows of any length, from aligned and unaligned starts, and weights in several blocks: both kernels serve these. */
function layoutCases(rows: number, d_ins: readonly number[]): LinearCase[] {
  const base = { bias: true, residual: true, seed: 3, rows };
  return [
    ...d_ins.map((d_in) => ({
      ...base,
      name: `${rows} rows of ${d_in}`,
      in: d_in,
      out: 13,
    })),
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
    ...DTYPES.map((dtype) => ({
      ...base,
      name: `${rows} rows, weight in blocks of 41, ${dtype}`,
      in: 52,
      out: 101,
      dtype,
      rowsPerBlock: 41,
    })),
    ...DTYPES.slice(1).map((dtype) => ({
      ...base,
      name: `${rows} rows of 101, ${dtype}`,
      in: 101,
      out: 67,
      dtype,
    })),
    // Around the 8 columns that a row's stride is a multiple of and that a CPU's panel has in a block of floats.
    // Besides, around a group of quantized weights and around the 8 groups whose scales fill 16 bytes; floats have these
    // widths where rows are one, or a few of a matmul or of groups.
    ...DTYPES.flatMap((dtype) =>
      [1, 7, 8, 9, ...(isQuantized(dtype) || WIDE_ROWS.has(rows) ? WIDE : [])].map((d_in) => ({
        ...base,
        name: `${rows} rows of ${d_in}, ${dtype}`,
        in: d_in,
        out: 6,
        dtype,
      }))
    ),
    // Activations far from 1, for what keeps them in fixed point.
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

/** Aligned and not; of 768, each lane takes several chunks. */
const D_INS: readonly number[] = [1, 3, 5, 8, 52, 101, 156, 768];

function inTiles(each: LinearCase, tile: 32 | "64 split" | 128): LinearCase {
  return { ...each, name: `tile of ${tile}, ${each.name}`, tile };
}

/** At and past the sides of tiles; a software adapter takes a second to compile the large one. */
const TILED: readonly LinearCase[] = [
  { name: "257 rows", rows: 257, in: 48, out: 260, bias: true, residual: true, seed: 5 },
  {
    name: "129 unaligned rows into wider rows",
    rows: 129,
    in: 17,
    out: 129,
    bias: true,
    residual: true,
    seed: 6,
    ldX: 23,
    xOffset: 3,
    ldY: 131,
  },
  {
    name: "64 rows, f16",
    rows: 64,
    in: 24,
    out: 128,
    bias: false,
    residual: false,
    seed: 7,
    dtype: "f16",
  },
  ...(["int8", "int4"] as const).map((dtype) => ({
    name: `65 rows, ${dtype}`,
    rows: 65,
    in: 72,
    out: 130,
    bias: false,
    residual: false,
    seed: 8,
    dtype,
  })),
];

const MATMUL: readonly LinearCase[] = [
  ...MATMUL_CASES,
  ...[...MATMUL_CASES.filter(({ rows }) => rows === 3 || rows === 65), ...layoutCases(5, [3, 101])]
    .filter(({ dtype, rowsPerBlock }: LinearCase) => dtype === undefined && !rowsPerBlock)
    .map((each) => ({ ...each, name: `${each.name}, a trained weight`, trained: true })),
  {
    ...{ name: "two blocks of terms, a trained weight", rows: 9, in: 259, out: 13, seed: 3 },
    ...{ bias: true, residual: true, trained: true },
  },
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
  // Around the 96 rows that a CPU unpacks weights for.
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
  ...TILED.map((each) => inTiles(each, 128)),
  ...TILED.map((each) => inTiles(each, 32)),
  ...TILED.map((each) => inTiles(each, "64 split")),
  // Sums in several parts.
  ...([[512, 2], [513, 3], [260, 2]] as const).map(([d_in, parts]): LinearCase => ({
    ...{ name: `${parts} parts of ${d_in}`, rows: 33, in: d_in, out: 35, seed: 9, tile: 32, parts },
    ...{ bias: false, residual: false },
  })),
  ...([32, "64 split"] as const).flatMap((tile) =>
    [512, 513, 1101].map((d_in): LinearCase => ({
      ...{ name: `tile of ${tile}, sums of ${d_in}`, rows: 33, in: d_in, out: 35, seed: 9, tile },
      ...{ bias: true, residual: true },
    }))
  ),
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
  ...MATMUL_CASES.filter(({ rows }) => rows <= 8),
  ...layoutCases(1, D_INS),
  ...layoutCases(3, D_INS),
  ...layoutCases(8, [3, 52]),
  ...layoutCases(13, [101, 768]),
  ...layoutCases(2, D_INS)
    .filter(({ scale }) => scale === undefined)
    .map((each) => ({ ...each, name: `norm, ${each.name}`, norm: true })),
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
    name: "odd in_proj and conv1d without bias, in blocks that straddle x and z",
    rows: 2,
    seed: 7,
    norm: false,
    conv: { d_inner: ODD.d_inner, d_conv: ODD.d_conv, bias: false },
    rowsPerBlock: 110,
  },
  {
    ...inProj(ODD),
    name: "Mamba-2's in_proj, of z, what conv1d reads, and dt, in blocks that straddle them",
    rows: 2,
    seed: 11,
    conv: { d_inner: 200, d_conv: ODD.d_conv, bias: true, start: 101 },
    rowsPerBlock: 83,
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
  ...layoutCases(5, [3, 52])
    .filter(({ scale }) => scale === undefined)
    .map((each) => ({ ...each, name: `norm, ${each.name}`, norm: true })),
  ...DTYPES.map((dtype) => ({
    ...inProj(ODD),
    name: `odd norm, in_proj and conv1d, batch 17, ${dtype}`,
    rows: 17,
    seed: 12,
    bias: true,
    dtype,
    rowsPerBlock: 110,
  })),
  ...[[2, 1, 1], [2, 4, 6], [4, 1, 2], [4, 4, 3], [4, 8, 4]].map(
    ([each = 0, groups = 0, atOnce = 0]): LinearCase => ({
      ...inProj(ODD),
      name: `${each} rows each, ${groups} groups, ${atOnce} turns`,
      rows: 2,
      seed: 10,
      in: 901,
      tiling: { each, groups, atOnce },
    }),
  ),
  ...DTYPES.map((dtype): LinearCase => ({
    ...{ name: `tiles of 8 rows each, ${dtype}`, rows: 35, in: 901, out: 70, seed: 13, dtype },
    ...{ bias: true, residual: true, way: { each: 8 } },
  })),
];

/** Several rows, eight at a time: a software adapter takes seconds to compile each of these. */
const MATVEC_ROWS: readonly LinearCase[] = DTYPES.flatMap((dtype, index): LinearCase[] => [
  {
    ...inProj(ODD),
    ...{ name: `odd norm, in_proj and conv1d, batch 17, ${dtype}`, rows: 17, seed: 14, dtype },
    ...{ bias: true, rowsPerBlock: 110, way: { groups: 4 } },
  },
  {
    ...{
      name: `sums that end within a chunk, ${dtype}`,
      rows: 5,
      in: 901,
      out: 70,
      seed: 15,
      dtype,
    },
    ...{ bias: true, residual: true, ldX: 903, xOffset: 1, ldY: 71 },
    way: { groups: index % 2 === 0 ? 8 : 4 },
  },
]);

/** Sums of `in` products of typical size 1 / sqrt(in), which keeps results as large as inputs, then bias and residual. */
export function sumLimits(d_in: number, scale = 1): Limits {
  return { rtol: ELEMENTWISE.rtol, atol: 1e-7 * (Math.sqrt(d_in) + 2) * scale };
}

/** Makes what both kernels take, and the data that their oracle takes. */
function makeCase(run: KernelRun, each: LinearCase) {
  const { rows, in: d_in, out, dtype = "f32" } = each;
  const { ldX = d_in, xOffset = 0, ldY = out } = each;
  const random = new Random(each.seed);
  const shape = { rows, in: d_in, out };
  const weight = roundedWeight(random.linear(out, d_in), dtype, d_in);
  const x = random.normal(rows * d_in, each.scale);
  const bias = each.bias ? random.normal(out, 0.3) : undefined;
  const residual = each.residual ? random.normal(rows * out) : undefined;
  const matrix = each.trained
    ? run.trainedMatrix(weight.values, [out, d_in])
    : run.matrix(weight, [out, d_in], each.rowsPerBlock);
  const strided = spreadRows(x, d_in, ldX, NaN, xOffset);
  const y = run.state(
    spreadRows(residual ?? new Float32Array(rows * out).fill(SENTINEL), out, ldY, SENTINEL),
  );
  const tensors = { x: run.input(strided), weight: matrix, bias: bias && run.input(bias), y };
  const options = { rows, ldX, xOffset, ldY, residual: each.residual, label: "check" };
  return { random, shape, weight: weight.values, x, bias, residual, tensors, options };
}

function checkMatmul(run: KernelRun<"matmulFwd">, each: LinearCase): void {
  const { shape, weight, x, bias, residual, tensors, options } = makeCase(run, each);
  const { tile, parts = 1 } = each;
  const partials = parts === 1 ? undefined : run.scratch("partials", parts * each.rows * each.out);
  run.ops.matmulFwd(run.program, { ...tensors, partials }, options, { tile, parts });
  const expected = reference(x, weight, bias, shape, residual);
  const spread = spreadRows(expected, each.out, options.ldY, SENTINEL);
  run.expect("y", tensors.y, spread, sumLimits(each.in, each.scale));
}

function checkMatvec(run: KernelRun<"matvecFwd">, each: LinearCase): void {
  const { random, shape, weight, x, bias, residual, tensors, options } = makeCase(run, each);
  const { rows, in: d_in, out } = shape;
  let limits = sumLimits(d_in, each.scale);
  let fusion: MatvecOptions<Opaque> = {};
  let input: Float32Array | Float64Array = x;
  if (each.norm) {
    const eps = 1e-5;
    const normWeight = random.normWeight(d_in);
    input = rmsNormFwd(x, normWeight, { rows, d_model: d_in, eps });
    fusion = { norm: { weight: run.input(normWeight), eps } };
  }
  const expected = reference(input, weight, bias, shape);
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
  run.ops.matvecFwd(run.program, tensors, options, {
    ...fusion,
    way: each.way ?? (rows > SINGLE_ROWS ? { each: 4 } : "alone"),
    ...(each.tiling && { tiling: each.tiling }),
  });
  residual?.forEach((value, i) => expected[i] = (expected[i] ?? NaN) + value);
  run.expect("y", tensors.y, spreadRows(expected, out, options.ldY, SENTINEL), limits);
}

/** Checks of matmul_fwd and matvec_fwd. */
export const LINEAR_CHECKS: readonly KernelCheck[] = [
  ...MATMUL.map((each): KernelCheck => ({
    kernel: each.tile === 32 || each.tile === "64 split" ? "matmul_split_fwd" : "matmul_fwd",
    name: each.name,
    ...checkKernel(["matmulFwd"], (run) => checkMatmul(run, each)),
  })),
  ...MATVEC.map((each): KernelCheck => ({
    kernel: each.rows <= SINGLE_ROWS ? "matvec_fwd" : "matvec_tiles",
    name: each.name,
    ...checkKernel(["matvecFwd"], (run) => checkMatvec(run, each)),
  })),
  ...MATVEC_ROWS.map((each): KernelCheck => ({
    ...{ kernel: "matvec_rows", name: each.name },
    ...checkKernel(["matvecFwd"], (run) => checkMatvec(run, each)),
  })),
];
