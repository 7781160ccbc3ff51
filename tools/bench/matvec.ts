/**
 * `bench matvec`: how long a matvec of each of the models' shapes takes under each tiling.
 *
 * --shape      ROWSxCOLUMNS, one of the models' (default: all)
 * --dtype      of the weights (default f16)
 * --rows       rows of x (default 1); more than 4 go the way that is chosen for them, whatever the tiling
 * --all        every tiling
 */

import { parseArgs } from "@std/cli/parse-args";
import { openGpu } from "../../src/gpu/device.ts";
import { Program } from "../../src/gpu/program.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { MATVEC_MAX_ROWS } from "../../src/ops/linear.ts";
import { matvecFwd } from "../../src/ops/matvec.ts";
import { type MatvecTiling, matvecTiling } from "../../src/ops/matvec_tiling.ts";
import { createMatrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { matrixBytes, type MatrixDType } from "../../src/model/weights/dtype.ts";
import { randomUniform, storedRows } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { warmTime } from "./warm_time.ts";

/** Rows and columns of in_proj, x_proj, out_proj and head of mamba-130m and mamba-2.8b. */
const SHAPES: readonly (readonly [number, number])[] = [
  [3072, 768],
  [80, 1536],
  [768, 1536],
  [50280, 768],
  [10240, 2560],
  [192, 5120],
  [2560, 5120],
  [50280, 2560],
];

/** Copies of a weight beyond the device's cache, so that each is read from memory. */
const COLD_BYTES = 2 ** 28;

/** What a pass reads: a device that is idle for longer than it is at work slows down. */
const LONG_PASS_BYTES = 2 ** 35;

/** Runs the benchmark. */
export async function* matvec(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    boolean: ["all"],
    string: ["shape", "dtype", "rows"],
    default: { dtype: "f16", rows: "1" },
  });
  const count = Number(options.rows);
  const dtype = options.dtype as MatrixDType;
  using gpu = await openGpu();
  for (const [rows, columns] of SHAPES) {
    if (options.shape !== undefined && options.shape !== `${rows}x${columns}`) continue;
    using resources = new DisposableStack();
    const bytes = matrixBytes([rows, columns], dtype);
    const copies = gpu.isSoftware ? 2 : Math.max(2, Math.min(256, Math.ceil(COLD_BYTES / bytes)));
    const values = randomUniform(rows * columns, 3).map((value) => value * columns ** -0.5);
    const stored = storedRows(values, { columns, dtype });
    const matrices = Array.from({ length: copies }, () => {
      const matrix = resources.use(createMatrix(gpu, "weight", [rows, columns], { dtype }));
      writeMatrixRows(matrix, 0, stored);
      return matrix;
    });
    const x = resources.use(createTensor(gpu, "x", [count * columns]));
    x.write(randomUniform(count * columns, 4));
    const y = resources.use(createTensor(gpu, "y", [count * rows]));
    let expected: Float32Array | undefined;
    const results: { tiling: MatvecTiling; microseconds: number }[] = [];
    const chosen = matvecTiling({ rows, stride: columns, dtype }, gpu.isSoftware);
    for (const tiling of count > MATVEC_MAX_ROWS ? [chosen] : tilings(rows, chosen)) {
      using program = new Program(gpu);
      for (const weight of matrices) {
        matvecFwd(program, { x, weight, y }, { rows: count, label: "matvec" }, {
          tiling,
          ...(count > MATVEC_MAX_ROWS ? {} : { way: "alone" }),
        });
      }
      const repeats = gpu.isSoftware ? 1 : Math.ceil(LONG_PASS_BYTES / (bytes * copies));
      const programs = Array.from({ length: repeats }, () => program);
      const microseconds = await warmTime(gpu, programs) / copies / repeats;
      const got = await readFloats(gpu, y);
      expected ??= got;
      checkClose(got, expected);
      results.push({ tiling, microseconds });
    }
    results.sort((a, b) => a.microseconds - b.microseconds);
    const own = results.find(({ tiling }) =>
      Object.entries(chosen).every(([name, value]) => tiling[name as keyof MatvecTiling] === value)
    );
    const best = results[0]?.microseconds ?? NaN;
    yield {
      bench: "matvec",
      device: gpu.name,
      dtype,
      rows,
      columns,
      count,
      chosen: [...Object.values(chosen), round(own?.microseconds ?? NaN, 2)],
      gigabytesPerSecond: Math.round(bytes / best / 1000),
      gigaflopsPerSecond: Math.round(2 * rows * columns * count / best / 1000),
      best: results.slice(0, options.all ? 99 : 5).map(({ tiling, microseconds }) => [
        ...Object.values(tiling),
        round(microseconds, 2),
      ]),
    };
  }
}

/** What is chosen and others, for few rows of x; many do not go by lanes. */
function* tilings(rows: number, chosen: MatvecTiling): Generator<MatvecTiling> {
  yield chosen;
  for (const each of [2, 4]) {
    for (const groups of [1, 2, 4, 8]) {
      for (const atOnce of new Set([1, 2, 3, chosen.atOnce])) {
        if (rows / (each * groups) <= 65535) yield { each, groups, atOnce };
      }
    }
  }
}

function checkClose(got: Float32Array, expected: Float32Array): void {
  for (const [index, value] of got.entries()) {
    if (!(Math.abs(value - (expected[index] ?? NaN)) < 1e-4)) {
      throw new Error(
        `Cannot time the matvec: y[${index}] is ${value} and ${expected[index]} by two tilings`,
      );
    }
  }
}
