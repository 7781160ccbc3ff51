/**
 * `bench train`: the cost of one step of training.
 *
 * --backend    webgpu, a software adapter if there is no other (default), or cpu
 * --threads    on the CPU (default: one a core, up to 8)
 * --row        text, pixels or patches (the rows of webgpu), narrow or wide (those of cpu): default all of the backend's
 * --steps      how many are timed (default 50)
 * --kernels    also each kernel's share
 * --batch, --seqlen, --d-model, --n-layer, --d-state, --d-conv, --expand    other sizes than the row's
 */

import { parseArgs } from "@std/cli/parse-args";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { mixerOf } from "../../src/model/mixers/mixers.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { type Batch, START } from "../../src/train/batches.ts";
import { initialise } from "../../src/train/initialise.ts";
import { type ModelSize, newConfig } from "../../src/train/task.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { type Result, round } from "./result.ts";
import { openOnCpu, openOnGpu, type TimedExecutor } from "./train_executors.ts";

interface Row {
  /** What goes in and comes out: characters, or values of which a class is made. */
  readonly input: "text" | { readonly d_input: number };
  readonly d_model: number;
  readonly n_layer: number;
  readonly batch: number;
  readonly seqlen: number;
}

/** What is trained: the shapes that the official implementation was timed with on a GPU, and two for a CPU. */
const ROWS: Readonly<Record<Backend, Readonly<Record<string, Row>>>> = {
  webgpu: {
    text: { input: "text", d_model: 256, n_layer: 8, batch: 64, seqlen: 256 },
    pixels: { input: { d_input: 1 }, d_model: 64, n_layer: 4, batch: 64, seqlen: 784 },
    patches: { input: { d_input: 48 }, d_model: 256, n_layer: 6, batch: 128, seqlen: 64 },
  },
  cpu: {
    narrow: { input: "text", d_model: 64, n_layer: 4, batch: 16, seqlen: 128 },
    wide: { input: "text", d_model: 128, n_layer: 4, batch: 16, seqlen: 64 },
  },
};
type Backend = "webgpu" | "cpu";
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
    string: [
      "backend",
      "threads",
      "row",
      "steps",
      "batch",
      "seqlen",
      ...SIZES.map(([option]) => option),
    ],
    boolean: ["kernels"],
    default: { steps: "50", backend: "webgpu" },
  });
  const backend = options.backend === "cpu" ? "cpu" : "webgpu";
  const threads = options.threads === undefined ? undefined : Number(options.threads);
  const all = new Map([...Object.entries(ROWS.webgpu), ...Object.entries(ROWS.cpu)]);
  const rows = options.row === undefined ? Object.keys(ROWS[backend]) : [options.row];
  for (const row of rows) {
    const { input, d_model, n_layer, ...own } = all.get(row) ?? refuse(row, all.keys());
    const batch = Number(options.batch ?? own.batch);
    const seqlen = Number(options.seqlen ?? own.seqlen);
    const sizes: Record<(typeof SIZES)[number][1], number> = {
      ...{ d_model, n_layer, d_state: 16, d_conv: 4, expand: 2 },
    };
    for (const [option, name] of SIZES) {
      const given = options[option];
      if (typeof given === "string") sizes[name] = Number(given);
    }
    const config = configOf(input, sizes);
    using opened = backend === "cpu" ? await openOnCpu(config, threads) : await openOnGpu(config);
    yield* timeSteps(row, opened, randomBatch(config, batch, seqlen), {
      steps: Number(options.steps),
      kernels: options.kernels,
    });
  }
}

async function* timeSteps(
  row: string,
  timed: TimedExecutor,
  batch: Batch,
  options: { readonly steps: number; readonly kernels: boolean },
): AsyncGenerator<Result> {
  const { executor } = timed;
  const { config } = executor;
  const trainer = new Trainer(executor);
  trainer.load(initialise(config, 1));
  const learningRate = 1e-3;
  const { loss: firstLoss } = await trainer.train(batch, learningRate);
  let lastLoss = NaN;
  const train = async (steps: number): Promise<void> => {
    for (let done = 0; done < steps;) {
      const count = Math.min(trainer.maxInFlight, steps - done);
      for (let step = 0; step < count; step++) await trainer.submit([batch], learningRate);
      lastLoss = (await trainer.results()).at(-1)?.loss ?? NaN;
      done += count;
    }
  };
  await train(timed.warmUpSteps);
  const start = performance.now();
  const processorStart = timed.processorTime?.();
  await train(options.steps);
  const processorEnd = timed.processorTime?.();
  const millisecondsPerStep = (performance.now() - start) / options.steps;
  checkLosses(config, firstLoss, lastLoss);
  const tokens = batch.batch * batch.seqlen;
  const { device } = timed;
  yield {
    bench: "train",
    device,
    row,
    model: `${config.n_layer} layers, ${mixerOf(config).describeSizes(config)}`,
    batch: batch.batch,
    seqlen: batch.seqlen,
    dtype: "f32",
    millisecondsPerStep: round(millisecondsPerStep, 2),
    ...processorStart === undefined || processorEnd === undefined ? {} : {
      processorMillisecondsPerStep: round((processorEnd - processorStart) / options.steps, 2),
    },
    ...await timed.describeStep(batch),
    tokensPerSecond: round(tokens / millisecondsPerStep * 1000, 0),
    matmulTeraflopsPerSecond: round(matmulFlops(config, batch) / millisecondsPerStep / 1e9, 3),
    deviceBytes: executor.deviceBytes,
    firstLoss: round(firstLoss, 4),
    lastLoss: round(lastLoss, 4),
  };
  if (options.kernels) {
    yield { bench: "train kernels", device, row, microseconds: await byKernel(timed, batch) };
  }
}

function configOf(kind: Row["input"], sizes: ModelSize): ModelConfig {
  if (kind === "text") {
    const input = { kind: "embedding", vocab_size: VOCAB_SIZE } as const;
    return newConfig(
      sizes,
      { input, head: { kind: "lm", vocab_size: VOCAB_SIZE, tied: true } },
      {},
    );
  }
  const input = { kind: "linear", ...kind, bias: true } as const;
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

/** Microseconds by op, all layers together, the slowest first; each op by itself. */
async function byKernel(timed: TimedExecutor, batch: Batch): Promise<Record<string, number>> {
  const sums = new Map<string, number>();
  await timed.profile(batch);
  for (const { label, microseconds } of await timed.profile(batch)) {
    const op = label.replace(/layers\.\d+\./, "");
    sums.set(op, (sums.get(op) ?? 0) + microseconds);
  }
  const sorted = [...sums].sort(([, a], [, b]) => b - a);
  return Object.fromEntries(sorted.map(([op, sum]) => [op, round(sum, 1)]));
}

function refuse(row: string, known: Iterable<string>): never {
  throw new RangeError(`Cannot time "${row}": expected one of ${[...known].join(", ")}`);
}
