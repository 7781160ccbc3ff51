import { assert, assertAlmostEquals, assertRejects } from "@std/assert";
import { loadTask, type TaskOptions, train } from "../../mod.ts";
import { toFloat16 } from "../../tools/to_float16.ts";

/** A model that is made in a moment, trained for one step. */
const OPTIONS: TaskOptions = {
  ...{ data: "LICENSE", model: { d_model: 16, n_layer: 1 } },
  hyperparameters: {
    ...{ steps: 1, batchSize: 2, seqlen: 16, evaluateEvery: 1, evaluationBatches: 4 },
    // So small a step that what was read is what is measured.
    ...{ learningRate: 1e-12, minimumLearningRate: 1e-12, warmupSteps: 0, dropout: 0 },
  },
};

/** The validation loss after that step. */
async function lossOf(options: TaskOptions, out?: string, resume?: boolean): Promise<number> {
  const task = await loadTask("text", options);
  let loss = NaN;
  for await (const { validation } of train(task, { out, resume, backend: "cpu", threads: 1 })) {
    loss = validation?.loss ?? loss;
  }
  return loss;
}

Deno.test("loadTask() has a run begin with the weights of a checkpoint, in any float type", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const other = { ...OPTIONS, hyperparameters: { ...OPTIONS.hyperparameters, seed: 7 } };
    const expected = await lossOf(other, `${folder}/first`);
    assert(expected !== await lossOf(OPTIONS), "seeds differ");
    const from = `${folder}/first`;

    assertAlmostEquals(await lossOf({ ...OPTIONS, from }, `${folder}/next`), expected, 1e-6);
    await toFloat16(from, `${folder}/half`);
    const half = await lossOf({ ...OPTIONS, from: `${folder}/half` });
    assertAlmostEquals(half, expected, 1e-3);
    // A run that goes on has its own weights: what it began with is not needed any more.
    await Deno.remove(from, { recursive: true });
    const longer = { ...OPTIONS.hyperparameters, steps: 2 };
    const resumed = await lossOf(
      { ...OPTIONS, from, hyperparameters: longer },
      `${folder}/next`,
      true,
    );
    assertAlmostEquals(resumed, expected, 1e-6);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("loadTask() refuses weights of another model, and what is none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await lossOf(OPTIONS, `${folder}/first`);
    const from = `${folder}/first`;
    await assertRejects(
      () => lossOf({ ...OPTIONS, from, model: { d_model: 32, n_layer: 1 } }),
      TypeError,
      `Cannot begin with "${from}": it is no model of this run's sizes. Cannot load "backbone.`,
    );
    await assertRejects(
      () => lossOf({ ...OPTIONS, from, model: { d_model: 16, n_layer: 2 } }),
      TypeError,
      "it has no tensor",
    );
    await assertRejects(
      () => lossOf({ ...OPTIONS, from: `${folder}/none` }),
      Deno.errors.NotFound,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
