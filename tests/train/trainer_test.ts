import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { IGNORED, type NamedValues } from "../../src/model/training_executor.ts";
import type { Batch } from "../../src/train/batches.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import { GOLDEN_TRAINED, GOLDEN_TRAINED_OTHERS, readGoldenTraining } from "../golden_training.ts";
import { Random } from "../../src/checks/random.ts";
import { requireTrainable } from "../../src/webgpu/require_trainable.ts";
import { WebGpuTrainingExecutor } from "../../src/webgpu/training_executor.ts";
import { eachTrainer } from "./each_trainer.ts";

function prepared(folder: string) {
  const golden = readGoldenTraining(folder);
  const config = parseConfig(JSON.parse(Deno.readTextFileSync(goldenPath(folder, "config.json"))));
  const values: NamedValues = new Map(
    Object.entries(golden.weights).map(([name, { data }]) => [name, Float32Array.from(data)]),
  );
  // A classifier's targets are those of the last step.
  const isLanguageModel = config.head.kind === "lm";
  const { batch, seqlen, targetCount } = golden;
  const targets = isLanguageModel
    ? Uint32Array.from(golden.targets)
    : Uint32Array.from({ length: batch }, (_, b) => golden.targets[(b + 1) * seqlen - 1] ?? 0);
  const inputs = golden.inputs instanceof Float32Array
    ? Float32Array.from(golden.inputs)
    : Uint32Array.from(golden.inputs);
  const example = { inputs, targets, batch, seqlen, targetCount } as unknown as Batch;
  const { lr, betas: [beta1, beta2], eps, weight_decay: weightDecay, max_norm } = golden.settings;
  return {
    golden,
    config,
    values,
    example,
    lr,
    settings: { beta1, beta2, eps, weightDecay },
    max_norm,
  };
}

for (const folder of ["mamba1", "mamba2"]) {
  Deno.test(`Trainer needs no more than eight storage buffers a kernel for ${folder}`, async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const device = await defined(adapter ?? undefined, "adapter").requestDevice({
      requiredLimits: { maxStorageBuffersPerShaderStage: 8 },
    });
    assertEquals(device.limits.maxStorageBuffersPerShaderStage, 8);
    try {
      using gpu = await openGpu(device);
      const { golden, config, values, example, lr, settings, max_norm } = prepared(folder);
      requireTrainable(gpu, config);
      const executor = new WebGpuTrainingExecutor(gpu, config, { ...settings, maxNorm: max_norm });
      using trainer = new Trainer(executor);
      trainer.load(values);
      const { loss } = await trainer.train(example, lr);
      assertAlmostEquals(loss, golden.loss, 1e-4 * golden.loss);
    } finally {
      device.destroy();
    }
  });
}

for (const folder of [...GOLDEN_TRAINED, ...GOLDEN_TRAINED_OTHERS]) {
  eachTrainer(
    `Trainer gives PyTorch's gradients within 1e-3 a tensor for ${folder}`,
    async (makeTrainer) => {
      const { golden, config, values, example, settings } = prepared(folder);
      using trainer = makeTrainer(config, values, { ...settings, maxNorm: Infinity });
      const { loss, norm } = await trainer.train(example, 0);
      assert(
        Math.abs(loss - golden.loss) < 1e-4 * golden.loss,
        `loss ${loss}, expected ${golden.loss}`,
      );
      assert(Math.abs(norm / (golden.plain.norms[0] ?? NaN) - 1) < 1e-3, `norm ${norm}`);
      const gradients = await trainer.gradients();
      assertEquals([...gradients.keys()].sort(), Object.keys(golden.gradients).sort());
      for (const [name, { data }] of Object.entries(golden.gradients)) {
        const got = defined(gradients.get(name), name);
        let difference = 0;
        let size = 0;
        for (const [index, expected] of Array.from(data).entries()) {
          difference += (expected - (got[index] ?? NaN)) ** 2;
          size += expected ** 2;
        }
        const relative = Math.sqrt(difference / size);
        assert(relative < 1e-3, `${name}: relative difference ${relative}`);
      }
    },
  );

  for (const run of ["plain", "clipped"] as const) {
    eachTrainer(
      `Trainer follows ten of PyTorch's AdamW steps, ${run}, for ${folder}`,
      async (makeTrainer) => {
        const { golden, config, values, example, settings, lr, max_norm } = prepared(folder);
        const maxNorm = run === "clipped" ? max_norm : Infinity;
        using trainer = makeTrainer(config, values, { ...settings, maxNorm });
        for (const [index, expected] of golden[run].losses.entries()) {
          const { loss } = await trainer.train(example, lr);
          assert(
            Math.abs(loss - expected) < 1e-4,
            `step ${index}: loss ${loss}, expected ${expected}`,
          );
        }
        assertEquals(trainer.step, golden[run].losses.length);
      },
    );
  }
}

eachTrainer(
  "Trainer gives the same bits twice, and after restore()",
  async (makeTrainer) => {
    const { config, values, example, settings, lr } = prepared("mamba1-odd");
    const make = () => makeTrainer(config, values, { ...settings, maxNorm: 1 });
    using straight = make();
    using begun = make();
    using resumed = make();
    for (let step = 0; step < 6; step++) await straight.train(example, lr);
    for (let step = 0; step < 3; step++) await begun.train(example, lr);
    resumed.restore(begun.step, { values: await begun.values(), ...await begun.moments() });
    for (let step = 0; step < 3; step++) await resumed.train(example, lr);
    assertEquals(await resumed.values(), await straight.values());
    assertEquals(await resumed.moments(), await straight.moments());
  },
);

eachTrainer(
  "Trainer gives the same bits and losses with steps in flight, and after rewind()",
  async (makeTrainer) => {
    const { config, values, example, settings, lr } = prepared("mamba1-odd");
    const make = () => {
      const dropout = { probability: 0.1, seed: 2 };
      return makeTrainer(config, values, { ...settings, maxNorm: 1, dropout });
    };
    using straight = make();
    using flying = make();
    const losses: number[] = [];
    for (let step = 0; step < 5; step++) losses.push((await straight.train(example, lr)).loss);
    await flying.train(example, lr);
    flying.keep();
    for (let step = 0; step < 3; step++) await flying.submit([example], 0.5);
    assertEquals(flying.step, 4);
    assertEquals((await flying.results()).map(({ step }) => step), [2, 3, 4]);
    flying.rewind();
    assertEquals(flying.step, 1);
    for (let step = 1; step < 5; step++) await flying.submit([example], lr);
    assertEquals((await flying.results()).map(({ loss }) => loss), losses.slice(1));
    assertEquals(await flying.values(), await straight.values());
    assertEquals(await flying.moments(), await straight.moments());
  },
);

/** One sequence of a batch, its first targets ignored. */
function sequence(example: Batch, index: number, ignored: number): Batch {
  const inputSize = example.inputs.length / example.batch;
  const targetSize = example.targets.length / example.batch;
  const targets = example.targets.slice(index * targetSize, (index + 1) * targetSize);
  targets.fill(IGNORED, 0, ignored);
  const inputs = example.inputs.slice(index * inputSize, (index + 1) * inputSize);
  return { ...example, inputs, targets, batch: 1, targetCount: targetSize - ignored };
}

/** Batches of one shape as one batch. */
function joined(batches: readonly Batch[]): Batch {
  const [first] = batches;
  const sum = (key: "batch" | "targetCount") =>
    batches.reduce((total, batch) => total + batch[key], 0);
  return {
    ...defined(first),
    inputs: Uint32Array.from(batches.flatMap(({ inputs }) => [...inputs])),
    targets: Uint32Array.from(batches.flatMap(({ targets }) => [...targets])),
    batch: sum("batch"),
    targetCount: sum("targetCount"),
  };
}

eachTrainer(
  "Trainer adds up the gradients of a step's batches: those of one batch as large, whatever their targets",
  async (makeTrainer) => {
    const { config, values, example, settings } = prepared("mamba1-odd");
    assert(example.batch >= 2);
    const parts = [sequence(example, 0, 0), sequence(example, 1, 3), sequence(example, 0, 7)];
    for (const count of [2, 3]) {
      using accumulating = makeTrainer(config, values, { ...settings, maxNorm: 1 });
      using whole = makeTrainer(config, values, { ...settings, maxNorm: 1 });
      // Two steps: the second begins its sum anew.
      for (let step = 0; step < 2; step++) {
        await accumulating.submit(parts.slice(0, count), 0);
        const [summed] = await accumulating.results();
        const expected = await whole.train(joined(parts.slice(0, count)), 0);
        assertEquals(defined(summed).step, expected.step);
        for (const key of ["loss", "norm"] as const) {
          assert(Math.abs(defined(summed)[key] / expected[key] - 1) < 1e-5, key);
        }
      }
      const gradients = await whole.gradients();
      for (const [name, found] of await accumulating.gradients()) {
        const wanted = defined(gradients.get(name), name);
        const difference = Math.hypot(...found.map((value, i) => value - (wanted[i] ?? NaN)));
        const relative = difference / Math.hypot(...wanted);
        assert(relative < 1e-5, `${name}: relative difference ${relative}`);
      }
    }
  },
);

eachTrainer(
  "Trainer evaluates many batches at once as it does one after the other",
  async (makeTrainer) => {
    for (const folder of ["mamba1-odd", "classifier"]) {
      const { config, values, example, settings } = prepared(folder);
      using trainer = makeTrainer(config, values, { ...settings, maxNorm: 1 });
      const one = await trainer.evaluate([example]);
      const many = await trainer.evaluate(Array.from({ length: 11 }, () => example));
      assertEquals(one.count, example.targetCount);
      assertEquals(many.count, 11 * one.count);
      assertEquals(many.correct, one.correct === undefined ? undefined : 11 * one.correct);
      assert(Math.abs(many.loss / (11 * one.loss) - 1) < 1e-12, `${many.loss}, ${one.loss}`);
    }
  },
);

eachTrainer(
  "Trainer with dropout has the gradients of the loss that it had, by a step along them",
  async (makeTrainer) => {
    const { config, values, example, settings } = prepared("mamba1-odd");
    const dropout = { probability: 0.3, seed: 5 };
    // The same draw (step 0) for both: the mask is the same, so the loss is a function of the parameters.
    const lossAt = async (parameters: NamedValues) => {
      using trainer = makeTrainer(config, parameters, {
        ...settings,
        maxNorm: Infinity,
        dropout,
      });
      const { loss, norm } = await trainer.train(example, 0);
      return { loss, norm, gradients: await trainer.gradients() };
    };
    const { gradients, norm, loss } = await lossAt(values);
    const length = 2e-3;
    const moved = (sign: number): NamedValues =>
      new Map([...values].map(([name, value]) => {
        const gradient = defined(gradients.get(name));
        return [name, value.map((v, i) => v + sign * length * (gradient[i] ?? NaN) / norm)];
      }));
    const slope = ((await lossAt(moved(1))).loss - (await lossAt(moved(-1))).loss) / (2 * length);
    assert(Math.abs(slope / norm - 1) < 1e-2, `slope ${slope}, norm ${norm}`);
    using without = makeTrainer(config, values, { ...settings, maxNorm: Infinity });
    assert(Math.abs((await without.train(example, 0)).loss - loss) > 1e-3, "nothing was dropped");
  },
);

eachTrainer(
  "Trainer has Mamba-2's gradients over several chunks, by a step along them",
  async (makeTrainer) => {
    const { config, values, settings, ...golden } = prepared("mamba2-groups");
    const [batch, seqlen] = [2, 150];
    const ids = new Random(8).ids(batch * (seqlen + 1), 101);
    const rows = (from: number) =>
      Uint32Array.from(
        { length: batch * seqlen },
        (_, i) => ids[Math.floor(i / seqlen) * (seqlen + 1) + i % seqlen + from] ?? 0,
      );
    const example: Batch = {
      ...golden.example,
      ...{ inputs: rows(0), targets: rows(1), batch, seqlen },
      targetCount: batch * seqlen,
    };
    const lossAt = async (parameters: NamedValues) => {
      using trainer = makeTrainer(config, parameters, { ...settings, maxNorm: Infinity });
      const { loss, norm } = await trainer.train(example, 0);
      return { loss, norm, gradients: await trainer.gradients() };
    };
    const { gradients, norm } = await lossAt(values);
    const length = 2e-3;
    const moved = (sign: number): NamedValues =>
      new Map([...values].map(([name, value]) => {
        const gradient = defined(gradients.get(name));
        return [name, value.map((v, i) => v + sign * length * (gradient[i] ?? NaN) / norm)];
      }));
    const slope = ((await lossAt(moved(1))).loss - (await lossAt(moved(-1))).loss) / (2 * length);
    assert(Math.abs(slope / norm - 1) < 1e-2, `slope ${slope}, norm ${norm}`);
  },
);

eachTrainer(
  "Trainer drives the loss of one batch to near zero",
  async (makeTrainer) => {
    const { config, values, example, settings } = prepared("mamba1");
    using trainer = makeTrainer(config, values, { ...settings, weightDecay: 0, maxNorm: 1 });
    let loss = Infinity;
    for (let step = 0; step < 150 && loss > 0.05; step++) {
      loss = (await trainer.train(example, 1e-2)).loss;
    }
    assert(loss < 0.05, `loss is ${loss}`);
  },
);

eachTrainer(
  "Trainer leaves the parameters alone where the gradient is not finite",
  async (makeTrainer) => {
    const { config, values, example, settings } = prepared("mamba1");
    const broken = new Map(values);
    broken.set("backbone.layers.1.mixer.D", new Float32Array(128).fill(NaN));
    using trainer = makeTrainer(config, broken, { ...settings, maxNorm: 1 });
    const { loss, step, culprit } = await trainer.train(example, 1e-3);
    assert(Number.isNaN(loss));
    assertEquals(step, 1);
    assert(culprit !== undefined && values.has(culprit), `culprit ${culprit}`);
    assertEquals(trainer.step, 0);
    assertEquals(
      (await trainer.values()).get("backbone.layers.0.mixer.D"),
      values.get("backbone.layers.0.mixer.D"),
    );
  },
);

eachTrainer(
  "Trainer smooths the targets it trains on, and not those it is measured by",
  async (makeTrainer) => {
    const { config, values, example, settings } = prepared("classifier");
    const [smoothing, classes] = [
      0.3,
      config.head.kind === "classifier" ? config.head.n_classes : NaN,
    ];
    const lossWith = async (batch: Batch, labelSmoothing: number) => {
      using trainer = makeTrainer(config, values, {
        ...settings,
        maxNorm: Infinity,
        labelSmoothing,
      });
      const { loss: evaluated, count } = await trainer.evaluate([batch]);
      return { evaluated: evaluated / count, trained: (await trainer.train(batch, 0)).loss };
    };
    const plain = await lossWith(example, 0), smoothed = await lossWith(example, smoothing);
    assertEquals(smoothed.evaluated, plain.evaluated);
    assertAlmostEquals(plain.trained, plain.evaluated, 1e-5);
    // The smoothed loss is a mean over the losses of all classes.
    let ofAll = 0;
    for (let target = 0; target < classes; target++) {
      const targets = new Uint32Array(example.targets.length).fill(target);
      ofAll += (await lossWith({ ...example, targets }, 0)).trained / classes;
    }
    const expected = (1 - smoothing) * plain.trained + smoothing * ofAll;
    assertAlmostEquals(smoothed.trained, expected, 1e-5);
  },
);
