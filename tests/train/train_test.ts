import { assert, assertEquals, assertRejects } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import {
  orderedSource,
  type Position,
  shuffledSource,
  type Source,
} from "../../src/train/batches.ts";
import { COMMON, type Hyperparameters, newConfig, type Task } from "../../src/train/task.ts";
import { train as trainOn, type TrainingDevice, type TrainOptions } from "../../src/train/train.ts";
import type { TrainingStep } from "../../src/train/training_step.ts";
import { laneSource, textWindows } from "../../src/train/text_windows.ts";
import { loadModel } from "../../mod.ts";
import { defined } from "../defined.ts";
import { sharedGpu } from "../with_gpu.ts";

/** train() on one executor. */
type Train = typeof trainOn;

const BACKENDS = ["webgpu", "cpu"] as const;

/** train() on an executor: on WebGPU on the shared device. */
async function* trainWith(
  backend: (typeof BACKENDS)[number],
  task: Task,
  options: TrainOptions = {},
): AsyncGenerator<TrainingStep> {
  const device = backend === "webgpu" ? (await sharedGpu()).device : undefined;
  yield* trainOn(task, { backend, device, ...options });
}

/** Registers a test for each executor: what holds for one holds for all. */
function eachBackend(name: string, test: (train: Train) => Promise<void>): void {
  for (const backend of BACKENDS) {
    Deno.test(
      `${name}, on ${backend}`,
      () => test((task, options) => trainWith(backend, task, options)),
    );
  }
}

/** A text that repeats, and a model that can learn it in seconds. */
function smallTask(hyperparameters: Partial<Hyperparameters> = {}): Task {
  const ids = Uint32Array.from({ length: 700 }, (_, index) => (index * index + 3 * index) % 7);
  const defaults = {
    ...COMMON,
    ...{ steps: 12, batchSize: 4, seqlen: 16, learningRate: 1e-2, minimumLearningRate: 1e-3 },
    ...{ warmupSteps: 2, evaluateEvery: 4 },
    ...hyperparameters,
  };
  const { seqlen, batchSize, seed } = defaults;
  return {
    name: "small",
    config: parseConfig({
      d_model: 16,
      n_layer: 2,
      vocab_size: 7,
      ssm_cfg: {},
      pad_vocab_size_multiple: 1,
    }),
    ...(defaults.carryState
      ? {
        train: laneSource(ids.subarray(0, 600), { batchSize, seqlen, seed }),
        validation: laneSource(ids.subarray(600), { batchSize: 1, seqlen: 40 }),
      }
      : {
        train: shuffledSource(textWindows(ids.subarray(0, 600), { seqlen, seed }), {
          batchSize,
          seed,
        }),
        validation: orderedSource(textWindows(ids.subarray(600), { seqlen }), { batchSize }),
      }),
    defaults,
    summary: "700 ids",
  };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function fileNames(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) {
      names.push(...(await fileNames(`${folder}/${name}`)).map((inner) => `${name}/${inner}`));
    } else names.push(name);
  }
  return names.sort();
}

/** What a run has that was not evaluated yet. */
const BEGUN = ["config.json", "training/metrics.jsonl", "training/run.json"];

eachBackend(
  "train() lowers the loss and writes a model that loadModel() takes as it is",
  (train) =>
    withFolder(async (out) => {
      const steps = await Array.fromAsync(
        train(smallTask({ steps: 80, evaluateEvery: 20 }), { out }),
      );
      assertEquals(
        steps.map(({ step }) => step),
        Array.from({ length: 80 }, (_, index) => index + 1),
      );
      // Nothing is known at the start: the loss is about that of a uniform guess.
      assert(Math.abs((steps[0]?.loss ?? NaN) - Math.log(7)) < 0.3, `first loss ${steps[0]?.loss}`);
      const validation = defined(steps.at(-1)?.validation);
      assert(validation.loss < 0.5, `validation loss ${validation.loss}`);
      assertEquals(await fileNames(out), [
        "config.json",
        "model.safetensors",
        "training/loss.svg",
        "training/metrics.jsonl",
        "training/resume.safetensors",
        "training/run.json",
      ]);
      using model = await loadModel(out);
      const ids = Array.from({ length: 40 }, (_, index) => (index * index + 3 * index) % 7);
      const scores = await Array.fromAsync(model.score(ids));
      const tail = scores.slice(10);
      const mean = tail.reduce((sum, { logprob }) => sum - logprob, 0) / tail.length;
      assert(mean < 0.6, `nats a token ${mean}`);
    }),
);

eachBackend(
  "train() hands out each better model as the files that its folder gets, without and with one",
  (train) =>
    withFolder(async (out) => {
      const task = smallTask({ steps: 12, evaluateEvery: 4 });
      const given: ReadonlyMap<string, Uint8Array>[] = [];
      const validations: number[] = [];
      const onModel = (files: ReadonlyMap<string, Uint8Array>) => given.push(files);
      for await (const { validation } of train(task, { onModel, out })) {
        if (validation !== undefined) validations.push(validation.loss);
      }
      const better = validations.filter((loss, i) =>
        validations.slice(0, i).every((earlier) => loss < earlier)
      );
      assertEquals(given.length, better.length);
      const last = defined(given.at(-1));
      assertEquals([...last.keys()].sort(), ["config.json", "model.safetensors"]);
      for (const [name, bytes] of last) {
        assertEquals(bytes, await Deno.readFile(`${out}/${name}`), name);
      }
      const alone: ReadonlyMap<string, Uint8Array>[] = [];
      await Array.fromAsync(train(task, { onModel: (files) => alone.push(files) }));
      assertEquals(alone, given);
    }),
);

for (const carryState of [false, true]) {
  eachBackend(
    `train() tells of every batch of an evaluation, carryState ${carryState}`,
    async (train) => {
      const told: string[] = [];
      const onEvaluation = (done: number, total: number) => told.push(`${done}/${total}`);
      const task = smallTask({ steps: 2, evaluateEvery: 1, carryState });
      for await (const { step } of train(task, { onEvaluation })) told.push(`step ${step}`);
      const all = carryState ? ["1/3", "2/3", "3/3"] : ["1/2", "2/2"];
      assertEquals(told, [...all, "step 1", ...all, "step 2"]);
    },
  );
}

eachBackend(
  "train() gives the same bytes twice, and when it is interrupted and resumed",
  (train) =>
    withFolder(async (folder) => {
      const read = (name: string) => Deno.readFile(`${folder}/${name}/model.safetensors`);
      const point = (name: string) =>
        Deno.readFile(`${folder}/${name}/training/resume.safetensors`);
      for (const name of ["first", "second"]) {
        await Array.fromAsync(train(smallTask(), { out: `${folder}/${name}` }));
      }
      assertEquals(await read("second"), await read("first"));
      assertEquals(await point("second"), await point("first"));

      // Left at a moment that no checkpoint was written for, as by a kill: the last one is gone on with.
      for await (const { step } of train(smallTask(), { out: `${folder}/third` })) {
        if (step === 6) break;
      }
      await Array.fromAsync(train(smallTask(), { out: `${folder}/third`, resume: true }));
      assertEquals(await point("third"), await point("first"));
      assertEquals(await read("third"), await read("first"));

      // Ended by its signal: that writes a checkpoint of its own.
      const controller = new AbortController();
      const options = { out: `${folder}/fourth`, signal: controller.signal };
      for await (const { step } of train(smallTask(), options)) if (step === 6) controller.abort();
      const resumed = await Array.fromAsync(
        train(smallTask(), { out: `${folder}/fourth`, resume: true }),
      );
      assertEquals(resumed[0]?.step, 7);
      assertEquals(await point("fourth"), await point("first"));
    }),
);

eachBackend(
  "train() ends with the test split's figure by the best model, resumed or not",
  (train) =>
    withFolder(async (folder) => {
      // Held out is another sequence: the more is learned of the first, the worse is it foreseen.
      const task = smallTask({ steps: 16, evaluateEvery: 4 });
      const other = Uint32Array.from({ length: 100 }, (_, index) => 3 * index % 7);
      const held = orderedSource(textWindows(other, { seqlen: 16 }), { batchSize: 4 });
      // Tested is the same: the figure must be that of the best evaluation, and not of the last.
      const tested: Task = { ...task, validation: held, test: held };
      const out = `${folder}/straight`;
      const steps = await Array.fromAsync(train(tested, { out }));
      const losses = steps.flatMap(({ validation }) => validation?.loss ?? []);
      const best = Math.min(...losses);
      assert(best < defined(losses.at(-1)), `the last is the best of ${losses}`);
      assertEquals(steps.map(({ test }) => test?.loss), [...Array(15).fill(undefined), best]);
      for await (const { step } of train(tested, { out: `${folder}/cut` })) if (step === 14) break;
      const resumed = await Array.fromAsync(train(tested, { out: `${folder}/cut`, resume: true }));
      assertEquals(resumed.at(-1)?.test?.loss, best);
      const point = (name: string) =>
        Deno.readFile(`${folder}/${name}/training/resume.safetensors`);
      assertEquals(await point("cut"), await point("straight"));
    }),
);

eachBackend(
  "train() measures again what a run was killed in, its last evaluation too",
  (train) =>
    withFolder(async (out) => {
      const task = smallTask({ steps: 8, evaluateEvery: 4 });
      const tested: Task = { ...task, test: task.validation };
      const straight = await Array.fromAsync(train(tested));
      let evaluated = 0;
      const steps: number[] = [];
      await assertRejects(
        async () => {
          // Two batches an evaluation: the fifth is the first of the test split.
          const onEvaluation = () => {
            if (++evaluated === 5) throw new Error("killed");
          };
          for await (const { step } of train(tested, { out, onEvaluation })) steps.push(step);
        },
        Error,
        "killed",
      );
      assertEquals(steps, [1, 2, 3, 4, 5, 6, 7]);
      const resumed = await Array.fromAsync(train(tested, { out, resume: true }));
      assertEquals(resumed.map(({ step }) => step), [5, 6, 7, 8]);
      assertEquals(resumed.at(-1)?.test, defined(straight.at(-1)?.test));
    }),
);

eachBackend(
  "train() hears its signal in an evaluation, and goes on from there with the same bytes",
  (train) =>
    withFolder(async (folder) => {
      // Three batches an evaluation of 48 ids, after steps 2 and 4; then three of the test split.
      const ids = Uint32Array.from({ length: 49 }, (_, index) => 3 * index % 7);
      const held = orderedSource(textWindows(ids, { seqlen: 16 }), { batchSize: 1 });
      const small = smallTask({ steps: 4, evaluateEvery: 2, dropout: 0.1 });
      const task: Task = { ...small, validation: held, test: held };
      const straight = await Array.fromAsync(train(task, { out: `${folder}/straight` }));
      const figures = (steps: readonly TrainingStep[]) =>
        steps.map(({ step, loss, validation, test }) => ({ step, loss, validation, test }));
      // In the second evaluation, and in that of the test split: their step is taken back.
      for (const batch of [4, 7]) {
        const controller = new AbortController();
        let evaluated = 0;
        const onEvaluation = () => {
          if (++evaluated === batch) controller.abort();
        };
        const out = `${folder}/${batch}`;
        const options = { out, onEvaluation, signal: controller.signal };
        const before = await Array.fromAsync(train(task, options));
        assertEquals([evaluated, before.at(-1)?.step], [batch, 3]);
        const after = await Array.fromAsync(train(task, { out, resume: true }));
        assertEquals(figures([...before, ...after]), figures(straight));
        for (const name of ["model.safetensors", "training/resume.safetensors"]) {
          const [expected, found] = await Promise.all(
            ["straight", batch].map((run) => Deno.readFile(`${folder}/${run}/${name}`)),
          );
          assertEquals(found, expected, name);
        }
      }
    }),
);

eachBackend(
  "train() that is stopped in the evaluation of its first step begins again with the same bytes",
  (train) =>
    withFolder(async (folder) => {
      const task = smallTask({ steps: 2, evaluateEvery: 1, carryState: true });
      await Array.fromAsync(train(task, { out: `${folder}/straight` }));
      const controller = new AbortController();
      const out = `${folder}/stopped`;
      const options = { out, onEvaluation: () => controller.abort(), signal: controller.signal };
      assertEquals(await Array.fromAsync(train(task, options)), []);
      const steps = await Array.fromAsync(train(task, { out, resume: true }));
      assertEquals(steps.map(({ step }) => step), [1, 2]);
      const [expected, found] = await Promise.all(
        ["straight", "stopped"].map((run) =>
          Deno.readFile(`${folder}/${run}/training/resume.safetensors`)
        ),
      );
      assertEquals(found, expected);
    }),
);

eachBackend(
  "train() leaves the run that a folder holds alone until a step of its own is done",
  (train) =>
    withFolder(async (out) => {
      const first: Task = { ...smallTask({ steps: 4 }), tokenizer: "{}" };
      await Array.fromAsync(train(first, { out }));
      const before = await fileNames(out);
      const model = await Deno.readFile(`${out}/model.safetensors`);
      const large = smallTask({ steps: 4, batchSize: 1e9 });
      const overwrite = true;
      await assertRejects(() => Array.fromAsync(train(large, { out, overwrite })), RangeError);
      const broken = { ...breakingTask(0), tokenizer: "[]" };
      await assertRejects(() => Array.fromAsync(train(broken, { out, overwrite })), RangeError);
      assertEquals(await fileNames(out), before);
      assertEquals(await Deno.readFile(`${out}/model.safetensors`), model);
      assertEquals(await Deno.readTextFile(`${out}/tokenizer.json`), "{}");
      for await (const _ of train(breakingTask(5), { out, overwrite })) break;
      assertEquals(await fileNames(out), BEGUN);
    }),
);

/** Trains straight through, and stopped at step 6 and resumed: the same bytes. Gives the steps. */
async function trainTwice(
  train: Train,
  folder: string,
  settings: Partial<Hyperparameters>,
): Promise<TrainingStep[]> {
  const point = (name: string) => Deno.readFile(`${folder}/${name}/training/resume.safetensors`);
  const steps = await Array.fromAsync(train(smallTask(settings), { out: `${folder}/straight` }));
  const controller = new AbortController();
  const out = `${folder}/stopped`;
  for await (const { step } of train(smallTask(settings), { out, signal: controller.signal })) {
    if (step === 6) controller.abort();
  }
  await Array.fromAsync(train(smallTask(settings), { out, resume: true }));
  assertEquals(await point("stopped"), await point("straight"));
  return steps;
}

eachBackend(
  "train() carries the state from window to window, and resumes such a run with the same bytes",
  (train) =>
    withFolder(async (folder) => {
      // 9 windows of 16 a lane: the 12 steps go over the end of an epoch.
      const steps = await trainTwice(train, folder, { carryState: true, dropout: 0.1 });
      assertEquals(steps.length, 12);
      await assertRejects(
        () => {
          const task = breakingTask(13);
          return Array.fromAsync(
            train({ ...task, defaults: { ...task.defaults, carryState: true } }),
          );
        },
        RangeError,
        "Cannot train breaking with carryState: its model is a classifier",
      );
    }),
);

eachBackend(
  "train() adds up the gradients of several batches, and resumes such a run with the same bytes",
  (train) =>
    withFolder(async (folder) => {
      for (const carryState of [false, true]) {
        const own = `${folder}/${carryState}`;
        const steps = await trainTwice(train, own, {
          steps: 8,
          accumulation: 3,
          dropout: 0.1,
          carryState,
        });
        assertEquals(steps.map(({ tokensPerStep }) => tokensPerStep), Array(8).fill(3 * 4 * 16));
      }
      // Three batches of 4 are one batch of 12, up to rounding.
      const first = async (hyperparameters: Partial<Hyperparameters>) =>
        defined((await Array.fromAsync(train(smallTask({ steps: 1, ...hyperparameters }))))[0]);
      const [three, one] = [await first({ accumulation: 3 }), await first({ batchSize: 12 })];
      assert(Math.abs(three.loss / one.loss - 1) < 1e-5, `losses ${three.loss}, ${one.loss}`);
      assert(Math.abs(three.gradientNorm / one.gradientNorm - 1) < 1e-4);
    }),
);

eachBackend(
  "train() stops after a number of evaluations without a better loss, and stays stopped",
  (train) =>
    withFolder(async (out) => {
      // Without learning, no evaluation is better than the first.
      const still = {
        learningRate: 1e-30,
        minimumLearningRate: 0,
        weightDecay: 0,
        evaluateEvery: 2,
      };
      const settings = { ...still, steps: 40, warmupSteps: 0, patience: 3 };
      const steps = await Array.fromAsync(train(smallTask(settings), { out }));
      assertEquals(steps.at(-1)?.step, 8);
      assertEquals(await Array.fromAsync(train(smallTask(settings), { out, resume: true })), []);
      // More patience goes on with the same run.
      const patient = smallTask({ ...settings, patience: 4 });
      const more = await Array.fromAsync(train(patient, { out, resume: true }));
      assertEquals(more.map(({ step }) => step), [9, 10]);
    }),
);

eachBackend(
  "train() refuses a model beyond the device before it makes its parameters",
  (train) =>
    withFolder(async (out) => {
      const small = smallTask();
      const config = newConfig({ d_model: 4096, n_layer: 64, d_state: 16, d_conv: 4, expand: 2 }, {
        input: small.config.input,
        head: small.config.head,
      }, {});
      await assertRejects(
        () => Array.fromAsync(train({ ...small, config }, { out })),
        RangeError,
        "Use a smaller d_model or n_layer",
      );
      assertEquals(await fileNames(out), []);
    }),
);

eachBackend("train() says what to do about a batch beyond the device", async (train) => {
  const small = smallTask();
  const { batch } = small.train;
  const source = {
    ...small.train,
    batch: (position: Position) => ({ ...batch.call(small.train, position), batch: 2 ** 28 }),
  };
  await assertRejects(
    () => Array.fromAsync(train({ ...small, train: source })),
    RangeError,
    "Use smaller batches, several of which accumulation adds up, or a shorter seqlen",
  );
});

eachBackend(
  "train() stops at a loss that is not finite, and names step, tensor and last checkpoint",
  (train) =>
    withFolder(async (out) => {
      const task = smallTask({
        learningRate: 1e38,
        minimumLearningRate: 0,
        warmupSteps: 0,
        steps: 10,
      });
      await assertRejects(
        () => Array.fromAsync(train(task, { out })),
        RangeError,
        "Cannot continue at step",
      );
    }),
);

eachBackend(
  "train() saves nothing that a validation loss which is not finite comes from",
  (train) =>
    withFolder(async (out) => {
      const settings = { learningRate: 1e38, minimumLearningRate: 0, warmupSteps: 0 };
      const task = smallTask({ ...settings, steps: 10, evaluateEvery: 1 });
      await assertRejects(
        () => Array.fromAsync(train(task, { out })),
        RangeError,
        "Cannot continue at step 1: validation loss is NaN. Nothing was saved",
      );
      assertEquals(await fileNames(out), BEGUN);
    }),
);

/** A classifier's task whose batch number `broken` holds NaN. */
function breakingTask(broken: number): Task {
  const [batchSize, seqlen] = [2, 5];
  const defaults = {
    ...COMMON,
    ...{ steps: 20, batchSize, seqlen, learningRate: 1e-3, minimumLearningRate: 1e-4 },
    ...{ warmupSteps: 2, evaluateEvery: 4 },
  };
  const source = (bad?: number): Source => ({
    batchSize,
    seqlen,
    batchesPerEpoch: 100,
    batch: ({ epoch, index }) => ({
      inputs: Float32Array.from(
        { length: batchSize * seqlen },
        (_, i) => index === bad ? NaN : Math.sin(i + index),
      ),
      targets: Uint32Array.from({ length: batchSize }, (_, slot) => (index + slot) % 2),
      ...{ batch: batchSize, seqlen, targetCount: batchSize, continues: false },
      next: index === 99 ? { epoch: epoch + 1, index: 0 } : { epoch, index: index + 1 },
    }),
  });
  return {
    name: "breaking",
    config: newConfig({ d_model: 8, n_layer: 1, d_state: 4, d_conv: 4, expand: 2 }, {
      input: { kind: "linear", d_input: 1, bias: true },
      head: { kind: "classifier", n_classes: 2, pool: "mean", bias: true },
    }, {}),
    train: source(broken),
    validation: source(),
    defaults,
    summary: "sines",
  };
}

eachBackend(
  "train() names the very step that broke, whatever is in flight after it, and leaves its checkpoint alone",
  (train) =>
    withFolder(async (out) => {
      const path = `${out}/training/resume.safetensors`;
      let before: Uint8Array | undefined;
      const seen: number[] = [];
      const error = await assertRejects(async () => {
        for await (const { step } of train(breakingTask(13), { out })) {
          seen.push(step);
          if (step === 13) before = await Deno.readFile(path);
        }
      }, RangeError);
      assertEquals(seen, Array.from({ length: 13 }, (_, index) => index + 1));
      assert(
        /^Cannot continue at step 14: loss is NaN, and the gradient of ".+" is not finite\. /.test(
          error.message,
        ),
        error.message,
      );
      assert(error.message.endsWith(`Last good checkpoint: "${out}", of step 12`), error.message);
      assertEquals(await Deno.readFile(path), before);
    }),
);

Deno.test("train() goes on with a run on another executor, near where it would have come, and says that the bits are others", () =>
  withFolder(async (folder) => {
    for (const [first, second] of [["webgpu", "cpu"], ["cpu", "webgpu"]] as const) {
      const out = `${folder}/${first}`;
      const straight = await Array.fromAsync(trainWith(first, smallTask()));
      for await (const { step } of trainWith(first, smallTask(), { out })) {
        if (step === 6) break;
      }
      const told: TrainingDevice[] = [];
      const options = {
        out,
        resume: true,
        onDevice: (device: TrainingDevice) => told.push(device),
      };
      const rest = await Array.fromAsync(trainWith(second, smallTask(), options));
      assertEquals(rest[0]?.step, 5);
      const loss = defined(rest.at(-1)?.validation).loss;
      assert(Math.abs(loss / defined(straight.at(-1)?.validation).loss - 1) < 1e-3, `loss ${loss}`);
      // Nobody says where: it goes on where it was.
      const more = smallTask({ steps: 14 });
      await Array.fromAsync(trainOn(more, options));
      assertEquals(told.map(({ backend }) => backend), [second, second]);
      assert(/bits are others/.test(told[0]?.warning ?? ""), told[0]?.warning);
      assertEquals(told[1]?.warning, undefined);
    }
  }));

Deno.test("train() on the CPU gives the same bytes on any number of threads", () =>
  withFolder(async (folder) => {
    const bytes: Uint8Array[] = [];
    for (const threads of [1, 2, 3]) {
      const out = `${folder}/${threads}`;
      await Array.fromAsync(trainOn(smallTask({ dropout: 0.1 }), { out, backend: "cpu", threads }));
      bytes.push(await Deno.readFile(`${out}/training/resume.safetensors`));
    }
    assertEquals(bytes.slice(1), [bytes[0], bytes[0]]);
  }));

Deno.test("train() refuses a number of threads that is none, and a backend that there is not", async () => {
  for (const threads of [0, 1.5, NaN]) {
    await assertRejects(
      () => Array.fromAsync(trainOn(smallTask(), { backend: "cpu", threads })),
      RangeError,
      `Cannot train: threads is ${threads}, and it must be a whole number from 1`,
    );
  }
  const backend = "cuda" as "cpu";
  await assertRejects(
    () => Array.fromAsync(trainOn(smallTask(), { backend })),
    TypeError,
    'Cannot train: backend is "cuda", expected auto, webgpu or cpu',
  );
});
