/**
 * `bench train`: the cost of one step of training.
 *
 * --row        text, pixels or patches (default: all)
 * --steps      how many are timed (default 50)
 * --kernels    also each kernel's share
 * --batch, --seqlen, --d-model, --n-layer, --d-state, --d-conv, --expand    other sizes than the row's
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { profile, type Program } from "../../src/gpu/program.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { mixerOf } from "../../src/model/mixers/mixers.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { type Batch, START } from "../../src/train/batches.ts";
import { initialise } from "../../src/train/initialise.ts";
import { COMMON, type ModelSize, newConfig } from "../../src/train/task.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { WebGpuTrainingExecutor } from "../../src/webgpu/training_executor.ts";
import { type Result, round } from "./result.ts";
import { warmTime } from "./warm_time.ts";

/** What is trained: the shapes that the official implementation was timed with. */
const ROWS = {
  text: { d_model: 256, n_layer: 8, batch: 64, seqlen: 256 },
  pixels: { d_model: 64, n_layer: 4, batch: 64, seqlen: 784 },
  patches: { d_model: 256, n_layer: 6, batch: 128, seqlen: 64 },
} as const;
type Row = keyof typeof ROWS;
/** Options for other sizes of the model, by name. */
const SIZES = [
  ...[["d-model", "d_model"], ["n-layer", "n_layer"], ["d-state", "d_state"]] as const,
  ...[["d-conv", "d_conv"], ["expand", "expand"]] as const,
] as const;
const VOCAB_SIZE = 65;
const CLASSES = 10;

/** Runs the benchmark. */
export async function* train(args: string[]): AsyncGenerator<Result> {
  const options = parseArgs(args, {
    string: ["row", "steps", "batch", "seqlen", ...SIZES.map(([option]) => option)],
    boolean: ["kernels"],
    default: { steps: "50" },
  });
  const rows = options.row === undefined ? Object.keys(ROWS) as Row[] : [options.row as Row];
  for (const row of rows) {
    const { d_model, n_layer, ...own } = ROWS[row] ?? refuse(row);
    const batch = Number(options.batch ?? own.batch);
    const seqlen = Number(options.seqlen ?? own.seqlen);
    const sizes: Record<(typeof SIZES)[number][1], number> = {
      ...{ d_model, n_layer, d_state: 16, d_conv: 4, expand: 2 },
    };
    for (const [option, name] of SIZES) {
      const given = options[option];
      if (typeof given === "string") sizes[name] = Number(given);
    }
    const config = configOf(row, sizes);
    yield* timeSteps(row, config, randomBatch(config, batch, seqlen), {
      steps: Number(options.steps),
      kernels: options.kernels,
    });
  }
}

async function* timeSteps(
  row: Row,
  config: ModelConfig,
  batch: Batch,
  options: { readonly steps: number; readonly kernels: boolean },
): AsyncGenerator<Result> {
  using gpu = await openGpu();
  const executor = new WebGpuTrainingExecutor(gpu, config, {
    beta1: COMMON.beta1,
    beta2: COMMON.beta2,
    eps: COMMON.eps,
    weightDecay: COMMON.weightDecay,
    maxNorm: COMMON.clipNorm,
  });
  using trainer = new Trainer(executor);
  trainer.load(initialise(config, 1));
  const learningRate = 1e-3;
  const { loss: firstLoss } = await trainer.train(batch, learningRate);
  let lastLoss = NaN;
  const train = async (steps: number): Promise<void> => {
    for (let step = 1; step <= steps; step++) {
      await trainer.submit([batch], learningRate);
      if (step % trainer.maxInFlight === 0 || step === steps) {
        lastLoss = (await trainer.results()).at(-1)?.loss ?? NaN;
      }
    }
  };
  // A device that was idle runs at a fraction of its clock at first.
  if (!gpu.isSoftware) await train(trainer.maxInFlight);
  const start = performance.now();
  await train(options.steps);
  const millisecondsPerStep = (performance.now() - start) / options.steps;
  checkLosses(config, firstLoss, lastLoss);

  const program = executor.stepProgramOf(batch);
  const gpuMilliseconds = gpu.hasTimestamps ? await warmTime(gpu, [program]) / 1000 : NaN;
  const tokens = batch.batch * batch.seqlen;
  yield {
    bench: "train",
    device: gpu.name,
    row,
    model: `${config.n_layer} layers, ${mixerOf(config).describeSizes(config)}`,
    batch: batch.batch,
    seqlen: batch.seqlen,
    dtype: "f32",
    millisecondsPerStep: round(millisecondsPerStep, 2),
    gpuMillisecondsPerStep: round(gpuMilliseconds, 2),
    tokensPerSecond: round(tokens / millisecondsPerStep * 1000, 0),
    matmulTeraflopsPerSecond: round(matmulFlops(config, batch) / millisecondsPerStep / 1e9, 2),
    dispatches: program.length,
    gpuBytes: gpu.live.sizeBytes,
    firstLoss: round(firstLoss, 4),
    lastLoss: round(lastLoss, 4),
  };
  if (options.kernels) {
    const microseconds = await byKernel(gpu, program);
    yield { bench: "train kernels", device: gpu.name, row, microseconds };
  }
}

function configOf(row: Row, sizes: ModelSize): ModelConfig {
  if (row === "text") {
    const input = { kind: "embedding", vocab_size: VOCAB_SIZE } as const;
    return newConfig(
      sizes,
      { input, head: { kind: "lm", vocab_size: VOCAB_SIZE, tied: true } },
      {},
    );
  }
  const input = { kind: "linear", d_input: row === "pixels" ? 1 : 48, bias: true } as const;
  const head = { kind: "classifier", n_classes: CLASSES, pool: "mean", bias: true } as const;
  return newConfig(sizes, { input, head }, {});
}

/** One batch without sense, that the model has to learn by heart. */
function randomBatch({ input, head }: ModelConfig, batch: number, seqlen: number): Batch {
  const steps = batch * seqlen;
  const hash = (index: number): number => (Math.imul(index + 1, 0x9e3779b1) >>> 8) / 2 ** 24;
  return {
    inputs: input.kind === "embedding"
      ? Uint32Array.from({ length: steps }, (_, index) => Math.floor(hash(index) * VOCAB_SIZE))
      : Float32Array.from({ length: steps * input.d_input }, (_, index) => 2 * hash(index) - 1),
    targets: head.kind === "lm"
      ? Uint32Array.from({ length: steps }, (_, index) => Math.floor(hash(index + 1) * VOCAB_SIZE))
      : Uint32Array.from({ length: batch }, (_, index) => index % CLASSES),
    batch,
    seqlen,
    targetCount: head.kind === "lm" ? steps : batch,
    continues: false,
    next: START,
  };
}

/** The first loss is that of guessing, and learning the one batch by heart makes it smaller: else a kernel is wrong. */
function checkLosses({ head }: ModelConfig, first: number, last: number): void {
  const guess = Math.log(head.kind === "lm" ? VOCAB_SIZE : CLASSES);
  if (!(Math.abs(first - guess) < 0.5 && last < first)) {
    throw new Error(
      `Cannot time training: the loss went from ${first} to ${last}, and guessing gives ${guess}`,
    );
  }
}

/** Of the matrix products alone: forward once, backward twice. */
function matmulFlops(config: ModelConfig, { batch, seqlen }: Batch): number {
  const perToken = weightSpecs(config)
    .filter(({ kind, name }) => kind === "matrix" && !name.startsWith("classifier"))
    .reduce((sum, { shape: [rows = 0, columns = 0] }) => sum + 2 * rows * columns, 0);
  return 3 * perToken * batch * seqlen;
}

/** Microseconds by op, all layers together, the slowest first; each dispatch in a pass of its own. */
async function byKernel(gpu: Gpu, program: Program): Promise<Record<string, number>> {
  const sums = new Map<string, number>();
  await profile(gpu, program);
  for (const { label, microseconds } of await profile(gpu, program)) {
    const op = label.replace(/layers\.\d+\./, "");
    sums.set(op, (sums.get(op) ?? 0) + microseconds);
  }
  const sorted = [...sums].sort(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.map(([op, sum]) => [op, round(sum, 1)]));
}

function refuse(row: string): never {
  throw new RangeError(
    `Cannot time "${row}": expected one of ${Object.keys(ROWS).join(", ")}`,
  );
}
