import { START } from "../../src/train/batches.ts";
import { writeDescription, writeModel } from "../../src/train/run/checkpoint.ts";
import { initialise } from "../../src/train/initialise.ts";
import type { Task } from "../../src/train/task.ts";
import type { Evaluation } from "../../src/train/evaluation.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { openTraining } from "../../src/webgpu/training_executor.ts";

/** Writes a task's model as it is before training, and gives the trainer's evaluation of the first validation batch. */
export async function writeUntrained(
  folder: string,
  { config, validation }: Task,
): Promise<Evaluation> {
  const values = initialise(config, 1);
  await writeDescription(folder, config, undefined);
  await writeModel(folder, config, values);
  const settings = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, maxNorm: 1 };
  using trainer = new Trainer(await openTraining(config, settings));
  trainer.load(values);
  return await trainer.evaluate([validation.batch(START)]);
}
