/** What a run trains on: the one place of training that knows which executors there are. */

import type { ModelConfig } from "../model/config/config.ts";
import type { TrainingExecutor, TrainingSettings } from "../model/training_executor.ts";

/** What says where a model is trained. */
export interface ExecutorOptions {
  /** A device of yours to train on; it is not destroyed. */
  readonly device?: GPUDevice | undefined;
}

/**
 * Opens what trains a model of this config.
 *
 * @throws {TypeError} If a part of the model cannot be trained.
 * @throws {RangeError} If the model does not fit.
 * @throws {UnsupportedDeviceError} If there is no GPU adapter.
 */
export async function openExecutor(
  config: ModelConfig,
  settings: TrainingSettings,
  { device }: ExecutorOptions,
): Promise<TrainingExecutor> {
  const { openTraining } = await import("../webgpu/training_executor.ts");
  return await openTraining(config, settings, device);
}
