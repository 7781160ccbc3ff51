/**
 * `bench cpu_matvec`: how many GB/s of weights the CPU's matvec reads, by dtype and shape of the models.
 *
 * --shape      OUTxIN, several with commas (default: those of the models)
 * --dtype      of the weights, likewise (default: all)
 * --rows       of x (default 1)
 * --threads    how many (default: one, and all)
 * --hot        the same weights again and again, from the cache
 */

import { parseArgs } from "@std/cli/parse-args";
import { openCpu } from "../../src/cpu/machine/module.ts";
import {
  cpuMatrixBytes,
  type CpuMatrixDType,
  createCpuMatrix,
  writeMatrixRows,
} from "../../src/cpu/machine/matrix.ts";
import { matvecFwd } from "../../src/cpu/ops/linear.ts";
import { CpuProgram } from "../../src/cpu/machine/program.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { checkProduct, storedWeight } from "./cpu_product.ts";
import { cpuName, medianTime } from "./cpu_time.ts";
import { randomUniform } from "./random_weights.ts";
import { type Result, round } from "./result.ts";

/** Rows and columns of mamba-130m's and weights/shakespeare's weights. */
const SHAPES = ["3072x768", "80x1536", "768x1536", "50280x768", "1024x256", "256x512"];

const DTYPES: readonly CpuMatrixDType[] = ["f32", "f16", "bf16", "int8", "int4"];

/** Copies of a weight beyond the caches, so that each is read from memory. */
const COLD_BYTES = 2 ** 27;

/** Copies within the first cache's reach: what the arithmetic alone takes. */
const HOT_BYTES = 3 * 2 ** 16;

/** Read between two looks at the clock, which are far apart from what is hot otherwise. */
const PASS_BYTES = 2 ** 25;

/** Runs the benchmark. */
export async function* cpuMatvec(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "dtype", "threads", "rows"],
    boolean: ["hot"],
    default: { rows: "1" },
  });
  const threads = options.threads?.split(",").map(Number) ?? [1, navigator.hardwareConcurrency];
  for (const shape of options.hot ? ["64x768"] : options.shape?.split(",") ?? SHAPES) {
    for (const dtype of (options.dtype?.split(",") ?? DTYPES) as CpuMatrixDType[]) {
      yield await measure(shape, dtype, {
        threads,
        rows: Number(options.rows),
        isHot: options.hot,
      });
    }
  }
}

async function measure(
  shape: string,
  dtype: CpuMatrixDType,
  options: { readonly threads: readonly number[]; readonly rows: number; readonly isHot: boolean },
): Promise<Result> {
  const [out = NaN, d_in = NaN] = shape.split("x").map(Number);
  using cpu = await openCpu({ threads: Math.max(...options.threads) });
  const bytes = cpuMatrixBytes([out, d_in], dtype);
  const copies = Math.max(
    options.isHot ? 1 : 2,
    Math.floor((options.isHot ? HOT_BYTES : COLD_BYTES) / bytes),
  );
  using resources = new DisposableStack();
  const weight = storedWeight(randomUniform(out * d_in, 3), d_in, dtype);
  const matrices = Array.from({ length: copies }, () => {
    const matrix = resources.use(createCpuMatrix(cpu, "weight", [out, d_in], { dtype }));
    writeMatrixRows(matrix, 0, weight.elements);
    return matrix;
  });
  const values = randomUniform(options.rows * d_in, 4);
  const x = resources.use(createCpuTensor(cpu, "x", [values.length]));
  x.write(values);
  const y = resources.use(createCpuTensor(cpu, "y", [options.rows, out]));
  const program = resources.use(new CpuProgram(cpu));
  for (const matrix of matrices) {
    matvecFwd(program, { x, weight: matrix, y }, { rows: options.rows, label: "matvec" });
  }
  const passes = Math.ceil(PASS_BYTES / (bytes * copies));
  const figures: Record<string, number> = {};
  let worst = 0;
  for (const threads of options.threads) {
    cpu.setThreads(threads);
    y.write(new Float32Array(y.size).fill(NaN));
    program.run();
    worst = Math.max(worst, checkProduct(y.read(), weight.values, values, [out, d_in]));
    const milliseconds = await medianTime(() => program.run(passes)) / passes;
    figures[`gigabytesPerSecond${threads}`] = round(bytes * copies / milliseconds / 1e6, 2);
    figures[`gigaweightsPerSecond${threads}`] = round(out * d_in * copies / milliseconds / 1e6, 2);
  }
  return {
    bench: "cpu_matvec",
    device: cpuName(cpu),
    dtype,
    rows: options.rows,
    shape,
    copies,
    ...figures,
    checkedWorstDifference: worst,
  };
}
