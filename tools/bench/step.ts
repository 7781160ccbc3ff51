/**
 * `bench step`: whole steps in one dispatch, against the list of dispatches.
 *
 * --shape      a published model's (default mamba-130m)
 * --dtype      f32, f16, bf16, int8 or int4 (default f16)
 * --groups     workgroups, or several numbers with commas between them (default 128)
 * --lanes      lanes of a workgroup, likewise (default 384)
 * --bursts     bursts of 32 tokens that are timed (default 4)
 * --temperature 0 takes the likeliest token (default 0)
 * --list       also the list of dispatches
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { timePass } from "../../src/gpu/program.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { RING, type SamplerSettings } from "../../src/model/sampler.ts";
import type { MatrixDType } from "../../src/model/weights/dtype.ts";
import { WebGpuExecutor } from "../../src/webgpu/executor.ts";
import type { WebGpuState } from "../../src/webgpu/executor_state.ts";
import { FusedStep } from "../../src/webgpu/fused/fused_step.ts";
import type { StepTuning } from "../../src/webgpu/fused/plan.ts";
import type { LoadedWeights } from "../../src/passes/weights.ts";
import type { WebGpuKinds } from "../../src/webgpu/op_set.ts";
import { randomWeights } from "./random_weights.ts";
import { type Result, round } from "./result.ts";
import { shapeConfig } from "./shapes.ts";

/** A model on a device, with the state that both ways begin with. */
interface Bench {
  readonly gpu: Gpu;
  readonly config: ModelConfig;
  readonly loaded: LoadedWeights<WebGpuKinds>;
  readonly executor: WebGpuExecutor;
  readonly begin: WebGpuState;
  readonly settings: SamplerSettings;
  readonly bursts: number;
}

/** Runs the benchmark. */
export async function* step(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["shape", "dtype", "groups", "lanes", "bursts", "temperature"],
    boolean: ["list"],
    default: {
      ...{ shape: "mamba-130m", dtype: "f16", groups: "128", lanes: "384", bursts: "4" },
      temperature: "0",
    },
  });
  const { shape, dtype } = options;
  const config = shapeConfig(shape);
  using gpu = await openGpu();
  const loaded = await randomWeights(gpu, config, dtype as MatrixDType);
  using executor = new WebGpuExecutor(gpu, config, loaded);
  using begin = executor.createState(1);
  const settings = {
    ...{ temperature: Number(options.temperature), topK: 40, topP: 0.9, minP: 0 },
    ...{ repetitionPenalty: 1, seed: 1 },
  };
  await executor.forward(begin, new Uint32Array([11, 222, 33]), { logits: "none" });
  const bench = { gpu, config, loaded, executor, begin, settings, bursts: Number(options.bursts) };
  const about = { bench: "step", device: gpu.name, shape, dtype };
  if (options.list) yield { ...about, step: "list", ...await timeList(bench) };
  for (const groups of options.groups.split(",")) {
    for (const lanes of options.lanes.split(",")) {
      const tuning = { groups: Number(groups), lanes: Number(lanes) };
      yield { ...about, step: "fused", ...tuning, ...await timeFused(bench, tuning) };
    }
  }
}

async function timeList(bench: Bench) {
  const { executor, bursts } = bench;
  using state = copyOf(bench);
  using keep = executor.createState(1);
  const draw = (consumeFirst: boolean) =>
    executor.draw([{ state, steps: RING, consumeFirst, keep }]);
  await draw(false);
  return await time(bursts, async () => void await draw(true));
}

async function timeFused(bench: Bench, tuning: StepTuning) {
  const { gpu, config, loaded, bursts } = bench;
  using fused = new FusedStep(gpu, config, loaded.weights, tuning);
  const compile = performance.now();
  const worstDifference = await compareWithList(bench, fused);
  const firstMs = performance.now() - compile;
  using state = copyOf(bench);
  const ring = state.parts.ring;
  const staging = await state.staging(RING * 8 + 4);
  let timedOut = 0;
  const draw = async (consumeFirst: boolean) => {
    const commands = fused.encode(state, { steps: RING, consumeFirst, draw: true }, [
      { from: ring, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: RING * 8 },
      fused.timedOut({ buffer: staging.buffer, offset: RING * 8 }),
    ]);
    gpu.device.queue.submit([commands]);
    const bytes = await staging.read(RING * 8 + 4);
    timedOut += bytes[RING * 8] ?? 0;
  };
  await draw(false);
  const times = await time(bursts, () => draw(true));
  // The request of the last burst is still there.
  let gpuMicroseconds = Infinity;
  for (let i = 0; i < 4; i++) {
    const pass = await timePass(gpu, [fused.programOf(state)], fused.cleared);
    gpuMicroseconds = Math.min(gpuMicroseconds, pass / RING);
  }
  return {
    ...times,
    gpuMicroseconds: round(gpuMicroseconds, 1),
    firstMs: round(firstMs, 0),
    worstDifference,
    timedOut,
  };
}

/** The largest difference of logits and states after a few tokens, of the largest value of each. */
async function compareWithList(
  bench: Bench,
  fused: FusedStep,
): Promise<number> {
  const { gpu, executor } = bench;
  using listed = copyOf(bench);
  using own = copyOf(bench);
  using keep = executor.createState(1);
  const steps = 4;
  await executor.draw([{ state: listed, steps, consumeFirst: false, keep }]);
  const request = { steps, consumeFirst: false, draw: true };
  gpu.device.queue.submit([fused.encode(own, request)]);
  const [expected, found] = [await executor.readState(listed), await executor.readState(own)];
  let worst = 0;
  for (const [index, { dtype, bytes }] of expected.entries()) {
    const other = found[index]?.bytes ?? new Uint8Array(bytes.length);
    if (dtype === "U32") {
      if (!bytes.every((byte, i) => byte === other[i])) worst = Infinity;
      continue;
    }
    const values = new Float32Array(bytes.buffer);
    const others = new Float32Array(other.buffer);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of values.entries()) {
      worst = Math.max(worst, Math.abs(value - (others[i] ?? NaN)) / largest);
    }
  }
  return worst;
}

function copyOf({ executor, begin, settings }: Bench): WebGpuState {
  const state = executor.createState(1);
  executor.copyState(begin, state);
  executor.setSampler(state, settings);
  return state;
}

/** Time of a burst, after the device has left its idle clocks. */
async function time(bursts: number, burst: () => Promise<void>) {
  const warmUp = performance.now();
  while (performance.now() - warmUp < 500) await burst();
  const start = performance.now();
  const each: number[] = [];
  for (let i = 0; i < bursts; i++) {
    const began = performance.now();
    await burst();
    each.push(round(performance.now() - began, 1));
  }
  const microseconds = (performance.now() - start) * 1000 / (bursts * RING);
  return {
    burstMs: each,
    microsecondsPerToken: round(microseconds, 1),
    tokensPerSecond: round(1e6 / microseconds, 0),
  };
}
