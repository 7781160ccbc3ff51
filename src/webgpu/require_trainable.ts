/** Whether a device can train a model, before anything is made for it. */

import type { Gpu } from "../gpu/device.ts";
import { MAX_STORAGE_BUFFERS } from "../gpu/kernel.ts";
import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { NORM_PART } from "../model/grad_norm.ts";
import { parameterLayout } from "../model/parameter_layout.ts";
import { parameterCount } from "../model/weights/weight_specs.ts";
import { WEBGPU_PARTS } from "./platform.ts";

/**
 * Refuses a device that gives kernels too few buffers, and a model that has no backward, or whose parameters the kernels of
 * the update could not see at once: before they are made, which takes long for such a model, and before kernels compile.
 *
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If a backward does not take a size of the model, the device gives too few buffers, or the parameters
 * do not fit in one binding of it.
 */
export function requireTrainable(gpu: Gpu, config: ModelConfig): void {
  WEBGPU_PARTS.requireSupported(config);
  // What a backward does not take, it refuses at any length.
  const shape = { batch: 1, seqlen: 1 };
  sharedByPart(config, (part) => WEBGPU_PARTS.trainingOf(part).partialElements(config, shape));
  const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } =
    gpu.device.limits;
  if (maxStorageBuffersPerShaderStage < MAX_STORAGE_BUFFERS) {
    throw new RangeError(
      `Cannot train on ${gpu.name}: it gives a kernel ${maxStorageBuffersPerShaderStage} storage buffers, ` +
        `and ${MAX_STORAGE_BUFFERS} are needed`,
    );
  }
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const sizeBytes = parameterLayout(config, NORM_PART).size * 4;
  if (sizeBytes > most) {
    throw new RangeError(
      `Cannot train a model of ${
        parameterCount(config)
      } parameters: they take ${sizeBytes} bytes in one binding, and ` +
        `${gpu.name} has at most ${most}. Use a smaller d_model or n_layer`,
    );
  }
}
