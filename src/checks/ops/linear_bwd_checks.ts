import { Random } from "../random.ts";
import { matmulBwd } from "../reference/matmul_bwd.ts";
import { checkKernel, type KernelCheck, type KernelRun } from "../kernel_check.ts";
import { sumLimits } from "./linear_checks.ts";
import { spreadRows } from "./spread_rows.ts";

interface LinearBwdCase {
  readonly name: string;
  readonly rows: number;
  readonly in: number;
  readonly out: number;
  readonly ldX?: number;
  readonly xOffset?: number;
  readonly ldY?: number;
  readonly accumulate: boolean;
  readonly tile: 64 | 128;
  /** For the weight's gradient. */
  readonly parts: number;
}

type Layout = Partial<Omit<LinearBwdCase, "name" | "rows" | "in" | "out">>;

function backward(
  name: string,
  [rows, d_in, out]: readonly [number, number, number],
  layout: Layout = {},
): LinearBwdCase {
  return { name, rows, in: d_in, out, accumulate: false, tile: 64, parts: 1, ...layout };
}

const CASES: readonly LinearBwdCase[] = [
  backward("mamba-130m x_proj, 17 rows", [17, 1536, 80]),
  backward("mamba-130m dt_proj, 17 rows of x_dbl", [17, 48, 1536], { ldX: 80, accumulate: true }),
  backward("odd in_proj, 65 rows", [65, 52, 312], { parts: 2 }),
  backward("odd dt_proj, 70 rows of x_dbl", [70, 5, 156], { ldX: 29, accumulate: true, parts: 3 }),
  backward("odd out_proj, added, in parts", [63, 156, 52], { accumulate: true, parts: 4 }),
  backward("odd head, last steps alone", [5, 52, 101], { ldX: 260, xOffset: 208 }),
  backward("whole tiles", [64, 64, 64], { parts: 2 }),
  backward("one past whole tiles", [65, 65, 65], { accumulate: true, parts: 5 }),
  backward("unaligned x", [33, 8, 12], { ldX: 11, xOffset: 3, parts: 2 }),
  backward("unaligned start of x", [33, 8, 12], { ldX: 12, xOffset: 2, accumulate: true }),
  backward("unaligned grad_y", [33, 8, 12], { ldY: 15, parts: 2 }),
  backward("one column in", [48, 1, 7], { parts: 3 }),
  backward("one column out", [3, 7, 1]),
  backward("all sizes 1", [1, 1, 1], { accumulate: true }),
  backward("many rows", [2100, 12, 8], { parts: 8 }),
  // At and past the side of the large tile, which a software adapter takes a second to compile.
  backward("tile of 128", [130, 132, 260], { tile: 128, parts: 3, accumulate: true }),
  backward("tile of 128, unaligned", [129, 129, 131], {
    tile: 128,
    parts: 1,
    ldX: 133,
    xOffset: 1,
    ldY: 135,
  }),
];

/** What one case's tensors hold. Weights and grad_y are scaled so that each gradient is as large as its inputs. */
function makeCase({ rows, in: d_in, out }: LinearBwdCase, seed: number) {
  const random = new Random(seed);
  const x = random.normal(rows * d_in);
  const weight = random.normal(out * d_in, 1 / Math.sqrt(out));
  const grad_y = random.normal(rows * out);
  return { x, weight, grad_y, random };
}

function plus(
  gradient: Float64Array,
  before: Float32Array,
  { accumulate }: LinearBwdCase,
): Float64Array {
  return gradient.map((value, i) => value + (accumulate ? before[i] ?? NaN : 0));
}

function checkX(run: KernelRun<"matmulBwdX">, each: LinearBwdCase, seed: number): void {
  const { rows, in: d_in, out, ldX = d_in, xOffset = 0, ldY = out, accumulate } = each;
  const { x, weight, grad_y, random } = makeCase(each, seed);
  const { grad_x } = matmulBwd(x, weight, grad_y, { rows, in: d_in, out });
  const before = random.normal(rows * d_in);
  const gap = 3;
  const tensor = run.state(spreadRows(before, d_in, ldX, gap, xOffset));
  run.ops.matmulBwdX(
    run.program,
    {
      grad_y: run.input(spreadRows(grad_y, out, ldY, NaN)),
      weight: run.trainedMatrix(weight, [out, d_in]),
      grad_x: tensor,
    },
    { rows, ldX, xOffset, ldY, accumulate, label: "check" },
    each.tile,
  );
  const expected = spreadRows(plus(grad_x, before, each), d_in, ldX, gap, xOffset);
  run.expect("grad_x", tensor, expected, sumLimits(out));
}

function checkW(run: KernelRun<"matmulBwdW">, each: LinearBwdCase, seed: number): void {
  const { rows, in: d_in, out, ldX = d_in, xOffset = 0, ldY = out, accumulate, parts } = each;
  const { x, weight, grad_y: unscaled, random } = makeCase(each, seed);
  const grad_y = unscaled.map((value) => value / Math.sqrt(rows));
  const { grad_weight } = matmulBwd(x, weight, grad_y, { rows, in: d_in, out });
  const before = random.normal(out * d_in);
  const { matrix, tensor, padded } = run.matrixState(before, [out, d_in]);
  const length = padded(before).length;
  const partials = parts > 1 ? run.scratch("partials", parts * length) : undefined;
  run.ops.matmulBwdW(
    run.program,
    {
      grad_y: run.input(spreadRows(grad_y, out, ldY, NaN)),
      x: run.input(spreadRows(x, d_in, ldX, NaN, xOffset)),
      grad_weight: matrix,
      partials,
    },
    { rows, ldX, xOffset, ldY, accumulate, label: "check" },
    { tile: each.tile, parts },
  );
  run.expect("grad_weight", tensor, padded(plus(grad_weight, before, each)), sumLimits(rows));
}

function checkColumns(
  run: KernelRun<"columnSum" | "columnSumScratch">,
  each: LinearBwdCase,
  seed: number,
): void {
  const { rows, in: d_in, out, ldY = out, accumulate } = each;
  const { x, weight, grad_y: unscaled, random } = makeCase(each, seed);
  const grad_y = unscaled.map((value) => value / Math.sqrt(rows));
  const { grad_bias } = matmulBwd(x, weight, grad_y, { rows, in: d_in, out });
  const before = random.normal(out);
  const y = run.state(before);
  run.ops.columnSum(
    run.program,
    {
      x: run.input(spreadRows(grad_y, out, ldY, NaN)),
      partials: run.scratch("partials", run.ops.columnSumScratch(rows, out)),
      y,
    },
    { rows, columns: out, ldX: ldY, accumulate, label: "check" },
  );
  run.expect("grad_bias", y, plus(grad_bias, before, each), sumLimits(rows));
}

/** Checks of matmul_bwd_x, matmul_bwd_w and column_sum. */
export const LINEAR_BWD_CHECKS: readonly KernelCheck[] = [
  ...CASES.map((each, seed): KernelCheck => ({
    kernel: "matmul_bwd_x",
    name: each.name,
    ...checkKernel(["matmulBwdX"], (run) => checkX(run, each, seed)),
  })),
  ...CASES.map((each, seed): KernelCheck => ({
    kernel: "matmul_bwd_w",
    name: each.name,
    ...checkKernel(["matmulBwdW"], (run) => checkW(run, each, seed)),
  })),
  ...CASES.filter(({ tile }) => tile === 64).map((each, seed): KernelCheck => ({
    kernel: "column_sum",
    name: each.name,
    ...checkKernel(["columnSum", "columnSumScratch"], (run) => checkColumns(run, each, seed)),
  })),
];
