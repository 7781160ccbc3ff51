/**
 * `bench matmul`: TFLOP/s of a linear layer's forward and of its two gradients, in f32.
 *
 * --shape      ROWSxOUTxIN, such as 16384x1024x256 (default: those of the models)
 * --tile       edge of the tile: 32, 64, 128, or "64 split"
 * --parts      what the weight's sum is split into
 * --all        every tiling
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { Program } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { matmulFwd } from "../../src/ops/linear.ts";
import {
  matmulBwdW,
  type MatmulBwdWTiling,
  matmulBwdWTiling,
  matmulBwdX,
} from "../../src/ops/training/linear_bwd.ts";
import { type FwdTile, type MatmulTile, matmulTile } from "../../src/ops/matmul_tile.ts";
import { createMatrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { warmTime } from "./warm_time.ts";

/** Rows, out and in: in_proj of mamba-130m, in_proj and out_proj at d_model 256, and a large square. */
const SHAPES = ["2048x3072x768", "16384x1024x256", "16384x256x512", "4096x4096x4096"];

const TILES = [32, "64 split", 64, 128] as const satisfies readonly FwdTile[];

/** What a software adapter can do while one waits. */
const SOFTWARE_SHAPES = ["256x256x256"];

/** A prime, so that no rows are alike although random numbers repeat after as many. */
const RANDOM_COUNT = 1_000_003;

/** Elements of each result that are compared with sums in float64. */
const CHECKED = 512;

/** Runs the benchmark. */
export async function* matmul(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, { string: ["shape", "tile", "parts"], boolean: ["all"] });
  using gpu = await openGpu();
  const shapes = gpu.isSoftware ? SOFTWARE_SHAPES : SHAPES;
  for (const shape of options.shape === undefined ? shapes : [options.shape]) {
    const [rows = NaN, out = NaN, d_in = NaN] = shape.split("x").map(Number);
    const chosen = matmulBwdWTiling(gpu, { rows: out, columns: d_in }, rows);
    const given = options.tile === undefined
      ? undefined
      : TILES.find((tile) => String(tile) === options.tile) ?? refuse(options.tile);
    const parts = Number(options.parts ?? chosen.parts);
    for (const tile of options.all ? TILES : [given]) {
      const backward = tile === 32 || tile === "64 split" ? undefined : tile;
      yield await measure(gpu, { rows, out, d_in }, {
        fwd: tile ?? matmulTile(gpu, { rows, columns: out, depth: d_in }),
        bwd_x: backward ?? matmulTile(gpu, { rows, columns: d_in, depth: out }),
        bwd_w: { tile: backward ?? chosen.tile, parts },
      });
    }
  }
}

function refuse(tile: string): never {
  throw new RangeError(`Cannot time tiles of "${tile}": expected one of ${TILES.join(", ")}`);
}

interface Sizes {
  readonly rows: number;
  readonly out: number;
  readonly d_in: number;
}

async function measure(
  gpu: Gpu,
  { rows, out, d_in }: Sizes,
  tiles: {
    readonly fwd: FwdTile;
    readonly bwd_x: MatmulTile;
    readonly bwd_w: MatmulBwdWTiling;
  },
): Promise<Result> {
  using resources = new DisposableStack();
  const tensor = (name: string, size: number) => resources.use(createTensor(gpu, name, [size]));
  const values = {
    x: repeated(rows * d_in, 1),
    weight: repeated(out * d_in, 2).map((value) => value * out ** -0.5),
    grad_y: repeated(rows * out, 3),
  };
  const x = tensor("x", rows * d_in);
  x.write(values.x);
  const grad_y = tensor("grad_y", rows * out);
  grad_y.write(values.grad_y);
  const weight = resources.use(createMatrix(gpu, "weight", [out, d_in], { dtype: "f32" }));
  writeMatrixRows(weight, 0, values.weight);
  const y = tensor("y", rows * out);
  const grad_x = tensor("grad_x", rows * d_in);
  const grad_weight = resources.use(createMatrix(gpu, "grad", [out, d_in], { dtype: "f32" }));
  const partials = tensor("partials", tiles.bwd_w.parts * out * grad_weight.stride);

  const record = (add: (program: Program) => void) => {
    const program = resources.use(new Program(gpu));
    add(program);
    return program;
  };
  const shape = { rows, label: "matmul" };
  const runs: Readonly<Record<string, Run>> = {
    fwd: {
      program: record((program) =>
        matmulFwd(program, { x, weight, y }, shape, { tile: tiles.fwd })
      ),
      result: y,
      width: out,
      rowCount: rows,
      sum: (m, o) => sum(d_in, (k) => at(values.x, m * d_in + k) * at(values.weight, o * d_in + k)),
    },
    bwd_x: {
      program: record((program) =>
        matmulBwdX(program, { grad_y, weight, grad_x }, shape, tiles.bwd_x)
      ),
      result: grad_x,
      width: d_in,
      rowCount: rows,
      sum: (m, i) =>
        sum(out, (o) => at(values.grad_y, m * out + o) * at(values.weight, o * d_in + i)),
    },
    bwd_w: {
      program: record((program) =>
        matmulBwdW(program, { grad_y, x, grad_weight, partials }, shape, tiles.bwd_w)
      ),
      result: grad_weight.blocks[0]?.tensor ?? partials,
      width: d_in,
      stride: grad_weight.stride,
      rowCount: out,
      sum: (o, i) => sum(rows, (m) => at(values.grad_y, m * out + o) * at(values.x, m * d_in + i)),
    },
  };
  const figures: Record<string, unknown> = {};
  for (const [name, run] of Object.entries(runs)) {
    const repeats = gpu.isSoftware ? 1 : 8;
    const once = Array.from({ length: repeats }, () => run.program);
    await warmTime(gpu, [run.program]);
    const worst = await check(gpu, name, run);
    const microseconds = await warmTime(gpu, once) / repeats;
    figures[name] = {
      teraflopsPerSecond: round(2 * rows * out * d_in / microseconds / 1e6, 4),
      microseconds: round(microseconds, 1),
      checkedWorstDifference: worst,
    };
  }
  return { bench: "matmul", device: gpu.name, rows, out, in: d_in, tiles, ...figures };
}

/** A recorded product, where it leaves its result, and what an element of that should be. */
interface Run {
  readonly program: Program;
  readonly result: Tensor;
  readonly rowCount: number;
  readonly width: number;
  readonly stride?: number;
  readonly sum: (row: number, column: number) => { readonly sum: number; readonly norm: number };
}

/**
 * Compares elements all over the result with sums in float64.
 *
 * @returns The largest difference over the norm of what was added up.
 */
async function check(
  gpu: Gpu,
  name: string,
  { result, rowCount, width, stride = width, sum }: Run,
): Promise<number> {
  const got = await readFloats(gpu, result);
  let worst = 0;
  for (let n = 0; n < CHECKED; n++) {
    // The first and the last element, and between them steps that meet every row and column of a tile.
    const index = Math.floor(n * (rowCount * width - 1) / (CHECKED - 1));
    const [row, column] = [Math.floor(index / width), index % width];
    const expected = sum(row, column);
    const value = at(got, row * stride + column);
    const difference = Math.abs(value - expected.sum) / expected.norm;
    // f32 sums of thousands of terms in order are off by about 1e-6 of their norm; a wrong term by 1 / sqrt(terms).
    if (!(difference < 1e-4)) {
      throw new Error(
        `Cannot time ${name}: [${row}, ${column}] is ${value}, expected ${expected.sum}`,
      );
    }
    worst = Math.max(worst, difference);
  }
  return worst;
}

function sum(length: number, term: (index: number) => number): { sum: number; norm: number } {
  let total = 0;
  let squares = 0;
  for (let index = 0; index < length; index++) {
    const value = term(index);
    total += value;
    squares += value ** 2;
  }
  return { sum: total, norm: Math.sqrt(squares) };
}

function at(values: Float32Array, index: number): number {
  return values[index] ?? NaN;
}

/** Random numbers that repeat after RANDOM_COUNT: drawing tens of millions would take longer than the benchmark. */
function repeated(count: number, seed: number): Float32Array<ArrayBuffer> {
  const block = randomUniform(Math.min(count, RANDOM_COUNT), seed);
  const values = new Float32Array(count);
  for (let start = 0; start < count; start += block.length) {
    values.set(block.subarray(0, count - start), start);
  }
  return values;
}
