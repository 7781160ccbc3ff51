/** Trainable weights: every parameter of a model in one buffer, and buffers of the same layout for what goes with them. */

import type { Gpu } from "../gpu/device.ts";
import { MAX_STORAGE_BUFFERS } from "../gpu/kernel.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import {
  type ParameterLayout,
  parameterLayout,
  type ParameterPlace,
  placeOf,
} from "../model/parameter_layout.ts";
import { parameterCount } from "../model/weights/weight_specs.ts";
import { NORM_PART } from "../ops/training/grad_norm.ts";
import type { Matrix } from "../ops/matrix.ts";
import { trainingOf } from "./mixers/mixers.ts";
import { type ModelWeights, modelWeights } from "./weights.ts";

/** A buffer in the layout of the parameters: values, gradients, or an optimiser's moments. */
export interface ParameterSet extends Disposable {
  /** All of it. */
  readonly flat: Tensor;
  /** The parts, as the forward and backward passes take them. */
  readonly weights: ModelWeights;
}

/**
 * Refuses a device that gives kernels too few buffers, and a model that has no backward, or whose parameters the kernels of
 * the update could not see at once: before they are made, which takes long for such a model, and before kernels compile.
 *
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If a backward does not take a size of the model, the device gives too few buffers, or the parameters
 * do not fit in one binding of it.
 */
export function requireTrainable(gpu: Gpu, config: ModelConfig): void {
  // What a backward does not take, it refuses at any length.
  sharedByPart(config, (part) => trainingOf(part).partialElements(config, { batch: 1, seqlen: 1 }));
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

/** Allocates a buffer of zeros in the layout. */
export function createParameterSet(
  gpu: Gpu,
  config: ModelConfig,
  layout: ParameterLayout,
  label: string,
): ParameterSet {
  const flat = createTensor(gpu, label, [layout.size]);
  const view = ({ start, rows, stride }: ParameterPlace): Tensor =>
    flat.view(start * 4, [rows * stride]);
  return {
    flat,
    weights: modelWeights(config, {
      vector: (name) => view(placeOf(layout, name)),
      matrix: (name): Matrix => {
        const found = placeOf(layout, name);
        const tensor = view(found);
        return {
          rows: found.rows,
          columns: found.columns,
          stride: found.stride,
          dtype: "f32",
          blocks: [{ tensor, rowStart: 0, rows: found.rows }],
          [Symbol.dispose]: () => {},
        };
      },
    }),
    [Symbol.dispose]: () => flat[Symbol.dispose](),
  };
}
