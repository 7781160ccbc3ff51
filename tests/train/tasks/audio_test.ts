import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { START } from "../../../src/train/batches.ts";
import { audioTask } from "../../../src/train/tasks/audio.ts";
import { loadTask } from "../../../src/train/tasks/load_task.ts";
import { defined } from "../../defined.ts";
import { withTones } from "./tones.ts";

Deno.test("audioTask() holds recordings out, and keeps frames and normalization in the config", async () => {
  await withTones(async (data) => {
    const task = await audioTask({ data, heldOut: 4, hyperparameters: { batchSize: 4 } });
    const { preprocessing, labels, input } = task.config;
    assertEquals(labels, ["high", "low"]);
    const layout = defined(preprocessing?.kind === "audio" ? preprocessing : undefined);
    const { sample_rate, window, hop, n_mels, frames, mean } = layout;
    assertEquals([sample_rate, window, hop, n_mels, frames], [8000, 256, 128, 40, 64]);
    assertEquals(input, { kind: "linear", d_input: 40, bias: true });
    assertEquals(mean.length, 40);
    assertEquals(task.validation.batchesPerEpoch, 1);
    assertEquals(task.test?.batchesPerEpoch, 5);
    assertEquals(task.train.batchesPerEpoch, 4);
    assertEquals(task.train.batch(START).inputs.length, 4 * 64 * 40);
    assertEquals(
      task.summary,
      "16 recordings to train on, 4 to validate with, 20 to test with, 2 classes",
    );
    const all = await audioTask({ data, heldOut: 0 });
    assertEquals([all.test, all.validation.batchesPerEpoch], [undefined, 1]);
  });
});

Deno.test("audioTask() resamples recordings of another rate than most, and says so", async () => {
  await withTones(async (data) => {
    const task = await audioTask({ data, heldOut: 4, hyperparameters: { batchSize: 4 } });
    const { preprocessing } = task.config;
    assertEquals(preprocessing?.kind === "audio" && preprocessing.sample_rate, 8000);
    assertEquals(
      task.summary,
      "16 recordings to train on, 4 to validate with, 20 to test with, 2 classes, " +
        "3 resampled to 8000 samples a second",
    );
    await withTones(async (same) => {
      const plain = await audioTask({ data: same, heldOut: 4, hyperparameters: { batchSize: 4 } });
      const { inputs } = task.validation.batch(START);
      for (const [i, value] of plain.validation.batch(START).inputs.entries()) {
        assertAlmostEquals(inputs[i] ?? NaN, value, 0.5);
      }
    });
  }, [16000, 44100, 8000, 11025]);
});

Deno.test("audioTask() refuses what it cannot do", async () => {
  await assertRejects(() => audioTask(), TypeError, "it has no data");
  await assertRejects(() => loadTask("text", { test: "x" }), RangeError, "does not take test");
  await withTones(async (data) => {
    await assertRejects(() => audioTask({ data, heldOut: 20 }), RangeError, "hold out 20 of 20");
    await assertRejects(
      () => audioTask({ data, hyperparameters: { seqlen: 5 } }),
      RangeError,
      "seqlen is 5, and its sequences have 64 steps",
    );
  });
});
