import type { ModelConfig } from "../../src/model/config/config.ts";
import type { NamedValues, TrainingSettings } from "../../src/model/training_executor.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { WebGpuTrainingExecutor } from "../../src/webgpu/training_executor.ts";
import { withGpu } from "../with_gpu.ts";

/** Makes a trainer that starts from given values, with moments of zero. */
export type MakeTrainer = (
  config: ModelConfig,
  values: NamedValues,
  settings: TrainingSettings,
) => Trainer;

/**
 * Registers a test for each executor: what holds for one holds for all. What trainers allocate must be freed.
 *
 * @param test Takes what makes a trainer on the executor.
 */
export function eachTrainer(name: string, test: (make: MakeTrainer) => Promise<void>): void {
  Deno.test(
    `${name}, on webgpu`,
    withGpu((gpu) =>
      test((config, values, settings) => {
        const trainer = new Trainer(new WebGpuTrainingExecutor(gpu, config, settings));
        trainer.load(values);
        return trainer;
      })
    ),
  );
}
