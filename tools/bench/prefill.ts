/**
 * `bench prefill`: tokens a second of a prompt.
 *
 * --shape      a published model's (default mamba-130m)
 * --dtype      of the weights (default f16)
 * --tokens     of the prompt (default 512)
 */

import { parseArgs } from "@std/cli/parse-args";
import { openGpu } from "../../src/gpu/device.ts";
import { WebGpuExecutor } from "../../src/webgpu/executor.ts";
import type { MatrixDType } from "../../src/model/weights/dtype.ts";
import { byKernel } from "./by_kernel.ts";
import { randomWeights } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { shapeConfig } from "./shapes.ts";

/** Prompts before the timed ones: kernels are compiled, and how many rows go through at once is settled. */
const WARM_RUNS = 5;

const TIMED_RUNS = 9;

/** Runs the benchmark: the median of the timed prompts. */
export async function* prefill(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "dtype", "tokens"],
    boolean: ["kernels"],
    default: { shape: "mamba-130m", dtype: "f16", tokens: "512" },
  });
  const config = shapeConfig(options.shape);
  using gpu = await openGpu();
  const weights = await randomWeights(gpu, config, options.dtype as MatrixDType);
  using executor = new WebGpuExecutor(gpu, config, weights);
  using state = executor.createState(1);
  const ids = Uint32Array.from(
    { length: Number(options.tokens) },
    (_, index) => (index * 7919) % 50277,
  );
  const times: number[] = [];
  for (let run = 0; run < WARM_RUNS + TIMED_RUNS; run++) {
    executor.resetState(state);
    const start = performance.now();
    const logits = await executor.forward(state, ids, { logits: "last" });
    if (run >= WARM_RUNS) times.push(performance.now() - start);
    if (!logits?.every(Number.isFinite)) {
      throw new Error("Cannot time the prefill: its logits are not finite");
    }
  }
  times.sort((a, b) => a - b);
  const milliseconds = times[(TIMED_RUNS - 1) / 2] ?? NaN;
  yield {
    bench: "prefill",
    device: gpu.name,
    shape: options.shape,
    dtype: options.dtype,
    tokens: ids.length,
    milliseconds: round(milliseconds, 2),
    tokensPerSecond: round(ids.length / milliseconds * 1000, 0),
  };
  if (options.kernels) {
    const microseconds = await byKernel(gpu, [executor.sequenceProgramOf(state, ids.length)]);
    yield { bench: "prefill kernels", device: gpu.name, shape: options.shape, microseconds };
  }
}
