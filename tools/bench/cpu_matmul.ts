/**
 * `bench cpu_matmul`: what the CPU's linear layers reach in GFLOP/s, by dtype, shape and rows of x.
 *
 * --shape      OUTxIN, several with commas (default: those of mamba-130m)
 * --dtype      of the weights, likewise (default f32,int8,int4)
 * --rows       of x (default 8,32,128,512)
 * --threads    how many (default: one, and all)
 * --op         linear, matmul or matvec (default linear)
 */

import { parseArgs } from "@std/cli/parse-args";
import {
  type CpuMatrixDType,
  createCpuMatrix,
  writeMatrixRows,
} from "../../src/cpu/machine/matrix.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { linearFwd, matmulFwd, matvecFwd } from "../../src/cpu/ops/linear.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { checkProduct, storedWeight } from "./cpu_product.ts";
import { cpuName, medianTime } from "./cpu_time.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";

/** Rows and columns of mamba-130m's in_proj and out_proj. */
const SHAPES = ["3072x768", "768x1536"];

const OPS = { linear: linearFwd, matmul: matmulFwd, matvec: matvecFwd };

/** Runs the benchmark. */
export async function* cpuMatmul(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "dtype", "threads", "rows", "op"],
    default: { rows: "8,32,128,512", dtype: "f32,int8,int4", op: "linear" },
  });
  const threads = options.threads?.split(",").map(Number) ?? [1, navigator.hardwareConcurrency];
  for (const shape of options.shape?.split(",") ?? SHAPES) {
    for (const dtype of options.dtype.split(",") as CpuMatrixDType[]) {
      for (const rows of options.rows.split(",").map(Number)) {
        yield await measure(shape, dtype, rows, threads, options.op as keyof typeof OPS);
      }
    }
  }
}

async function measure(
  shape: string,
  dtype: CpuMatrixDType,
  rows: number,
  threadCounts: readonly number[],
  op: keyof typeof OPS,
): Promise<Result> {
  const [out = NaN, d_in = NaN] = shape.split("x").map(Number);
  using cpu = await openCpu({ threads: Math.max(...threadCounts) });
  using resources = new DisposableStack();
  const weight = storedWeight(randomUniform(out * d_in, 3), d_in, dtype);
  const matrix = resources.use(createCpuMatrix(cpu, "weight", [out, d_in], { dtype }));
  writeMatrixRows(matrix, 0, weight.elements);
  const values = randomUniform(rows * d_in, 4);
  const x = resources.use(createCpuTensor(cpu, "x", [values.length]));
  x.write(values);
  const y = resources.use(createCpuTensor(cpu, "y", [rows, out]));
  const program = resources.use(new CpuProgram(cpu));
  OPS[op](program, { x, weight: matrix, y }, { rows, label: op });
  const figures: Record<string, number> = {};
  let worst = 0;
  for (const threads of threadCounts) {
    cpu.setThreads(threads);
    y.write(new Float32Array(y.size).fill(NaN));
    program.run();
    worst = Math.max(worst, checkProduct(y.read(), weight.values, values, [out, d_in]));
    const milliseconds = await medianTime(() => program.run());
    figures[`gigaflopsPerSecond${threads}`] = round(2 * rows * out * d_in / milliseconds / 1e6, 2);
  }
  return {
    bench: "cpu_matmul",
    device: cpuName(cpu),
    op,
    dtype,
    shape,
    rows,
    ...figures,
    checkedWorstDifference: worst,
  };
}
