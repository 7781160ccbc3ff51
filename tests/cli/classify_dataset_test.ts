import { assertEquals } from "@std/assert";
import { infer } from "../../src/cli/infer.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { START } from "../../src/train/batches.ts";
import { writeDescription, writeModel } from "../../src/train/checkpoint.ts";
import { initialise } from "../../src/train/initialise.ts";
import { mnistTask } from "../../src/train/tasks/mnist.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { FakeTerminal } from "./fake_terminal.ts";

Deno.test("infer() classify --dataset counts as the trainer's evaluation does", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const preset of ["rows", "pixels"]) {
      const { config, validation } = await mnistTask({
        ...{ preset, heldOut: 0, hyperparameters: { batchSize: 40 } },
        model: { d_model: 16, n_layer: 1, d_state: 4 },
      });
      const values = initialise(config, 1);
      await writeDescription(folder, config, undefined);
      await writeModel(folder, config, values);
      using gpu = await openGpu();
      using trainer = new Trainer(gpu, config, values, {
        ...{ beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, maxNorm: 1 },
      });
      const { correct, count } = await trainer.evaluate([validation.batch(START)]);
      const terminal = new FakeTerminal();
      const args = ["classify", folder, "--dataset", "mnist", "--split", "test", "--limit", "40"];
      assertEquals(await infer([...args, "--json"], terminal), 0, terminal.stderr);
      const result = JSON.parse(terminal.stdout);
      assertEquals([result.correct, result.total], [correct, count], preset);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
