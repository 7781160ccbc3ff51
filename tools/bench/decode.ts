/**
 * `bench decode`: the cost of one token.
 *
 * --shape      a published model's (default mamba-130m)
 * --dtype      f32, f16, bf16, int8 or int4 (default f16)
 * --tokens     how many are timed (default 256)
 * --sessions   sequences that are drawn together (default 1); --batch is the same
 * --step       list, fused or auto: how steps of one session run (default list)
 * --kernels    also each kernel's share of the list
 */

import { parseArgs } from "@std/cli/parse-args";
import { openGpu } from "../../src/gpu/device.ts";
import { encode } from "../../src/gpu/program.ts";
import { WebGpuExecutor } from "../../src/webgpu/executor.ts";
import { stateBytes } from "../../src/model/state_layout.ts";
import type { StepChoice } from "../../src/model/step_choice.ts";
import type { MatrixDType } from "../../src/model/weights/dtype.ts";
import { chooseStep } from "../../src/webgpu/fused/choose_step.ts";
import { copyBandwidth } from "./bandwidth.ts";
import { byKernel } from "./by_kernel.ts";
import { randomWeights } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { shapeConfig } from "./shapes.ts";
import { warmTime } from "./warm_time.ts";

/** Runs the benchmark. */
export async function* decode(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "dtype", "tokens", "sessions", "step"],
    alias: { sessions: "batch" },
    boolean: ["kernels"],
    default: { shape: "mamba-130m", dtype: "f16", tokens: "256", sessions: "1", step: "list" },
  });
  const config = shapeConfig(options.shape);
  const dtype = options.dtype as MatrixDType;
  const tokens = Number(options.tokens);
  const sessions = Number(options.sessions);
  using gpu = await openGpu();
  const loaded = await randomWeights(gpu, config, dtype);
  using executor = new WebGpuExecutor(gpu, config, loaded);
  const wanted = sessions === 1 ? options.step as StepChoice : "list";
  const steps = await chooseStep(gpu, executor, loaded.weights, wanted);
  using states = new DisposableStack();
  const greedy = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
  const made = Array.from({ length: sessions }, () => {
    const state = states.use(executor.createState(1));
    executor.setSampler(state, greedy);
    return { state, keep: states.use(executor.createState(1)) };
  });
  const draw = (steps: number, consumeFirst: boolean) =>
    executor.draw(made.map((each) => ({ ...each, steps, consumeFirst })));
  const worstDifference = await checkStep(executor);

  // Wall time: bursts, as generation makes them.
  for (const { state } of made) {
    await executor.forward(state, new Uint32Array([1]), { logits: "none" });
  }
  await draw(executor.maxDraws, false);
  // Until the device has left its idle clocks, and the encoder is compiled.
  const warmUp = performance.now();
  while (!gpu.isSoftware && performance.now() - warmUp < 500) {
    await draw(executor.maxDraws, true);
  }
  const start = performance.now();
  let drawn = 0;
  while (drawn < tokens) {
    const steps = Math.min(executor.maxDraws, tokens - drawn);
    await draw(steps, true);
    drawn += steps;
  }
  const tokensPerSecond = sessions * drawn / ((performance.now() - start) / 1000);

  // GPU time: the same programs between two timestamps; those of the list, whatever was timed above.
  const [step, sample] = executor.drawProgramsOf(made.map(({ state }) => state));
  const repeats = gpu.isSoftware ? 1 : 32;
  const programs = Array.from({ length: repeats }, () => [step, sample]).flat();
  const gpuMicroseconds = await warmTime(gpu, programs) / repeats;

  // What the CPU does for a token, hidden behind the GPU's work where it is the smaller part.
  const encodeStart = performance.now();
  encode(gpu, programs);
  const encodeMicroseconds = (performance.now() - encodeStart) * 1000 / repeats;

  const bytesPerToken = executor.weightBytes + 2 * sessions * stateBytes(config);
  const bandwidth = await copyBandwidth(gpu);
  yield {
    bench: "decode",
    device: gpu.name,
    shape: options.shape,
    dtype,
    sessions,
    tokensPerSecond: round(tokensPerSecond, 1),
    steps,
    listGpuMicrosecondsPerToken: round(gpuMicroseconds, 1),
    listGpuTokensPerSecond: round(sessions * 1e6 / gpuMicroseconds, 1),
    listEncodeMicrosecondsPerToken: round(encodeMicroseconds, 1),
    listDispatchesPerToken: step.length + sample.length,
    bytesReadPerToken: bytesPerToken,
    copyBytesPerSecond: round(bandwidth, 0),
    shareOfCopyBandwidth: round(bytesPerToken * tokensPerSecond / sessions / bandwidth, 3),
    checkedWorstDifference: worstDifference,
    gpuBytes: gpu.live.sizeBytes,
  };
  if (options.kernels) {
    const microseconds = await byKernel(gpu, [step, sample]);
    yield { bench: "decode kernels", device: gpu.name, shape: options.shape, dtype, microseconds };
  }
}

/**
 * The step's kernels against the general ones: logits of 3 tokens, stepped and as one sequence.
 *
 * @returns The largest difference over the largest logit.
 */
async function checkStep(executor: WebGpuExecutor): Promise<number> {
  using stepped = executor.createState(1);
  using whole = executor.createState(1);
  const ids = new Uint32Array([11, 222, 33]);
  let last: Float32Array | undefined;
  for (const id of ids) {
    last = await executor.forward(stepped, new Uint32Array([id]), { logits: "last" });
  }
  const expected = await executor.forward(whole, ids, { logits: "last" });
  let difference = 0;
  let largest = 0;
  for (const [index, value] of (expected ?? []).entries()) {
    difference = Math.max(difference, Math.abs(value - (last?.[index] ?? NaN)));
    largest = Math.max(largest, Math.abs(value));
  }
  if (!(largest > 0 && difference / largest < 1e-4)) {
    throw new Error(
      `Cannot time the step: its logits differ from the sequence's by ${difference} of ${largest}`,
    );
  }
  return difference / largest;
}
