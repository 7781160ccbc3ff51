/** Trainable weights: every parameter of a model in one buffer, and buffers of the same layout for what goes with them. */

import type { Gpu } from "../gpu/device.ts";
import { MAX_STORAGE_BUFFERS } from "../gpu/kernel.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { elementCount, roundUp } from "../model/shapes.ts";
import { NORM_PART } from "../ops/grad_norm.ts";
import type { Matrix } from "../ops/matrix.ts";
import { MATRIX_ROW_STEP } from "../model/dtype.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { sharedByPart } from "../model/blocks.ts";
import { parameterCount, type WeightSpec, weightSpecs } from "../model/weight_specs.ts";
import { trainingOf } from "./mixers/mixers.ts";
import { type ModelWeights, modelWeights } from "./weights.ts";

/** Where a parameter lies in the common layout. */
export interface ParameterPlace {
  readonly spec: WeightSpec;
  /** First element. */
  readonly start: number;
  /** Rows of it: a vector is one row. */
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row; what is beyond `columns` is zero and stays zero. */
  readonly stride: number;
}

/** The layout of all parameters: those that decay first, so that the optimiser is two ranges. */
export interface ParameterLayout {
  readonly places: readonly ParameterPlace[];
  /** Elements in all, padding included. */
  readonly size: number;
  /** Elements before this one have weight decay. */
  readonly decayEnd: number;
}

/** A buffer in the layout of the parameters: values, gradients, or an optimiser's moments. */
export interface ParameterSet extends Disposable {
  /** All of it. */
  readonly flat: Tensor;
  /** The parts, as the forward and backward passes take them. */
  readonly weights: ModelWeights;
}

/** Decay is for matrices and convolutions; A_log, D, biases and norms keep what they learn (Gu & Dao 2023). */
function decays({ kind, decays }: WeightSpec): boolean {
  return kind === "matrix" || decays === true;
}

/** Lays out the parameters of a model. */
export function parameterLayout(config: ModelConfig): ParameterLayout {
  const specs = weightSpecs(config);
  const places: ParameterPlace[] = [];
  let size = 0;
  let decayEnd = 0;
  for (const decaying of [true, false]) {
    for (const spec of specs) {
      if (decays(spec) !== decaying) continue;
      const columns = spec.kind === "matrix" ? spec.shape[1] ?? 1 : elementCount(spec.shape);
      const rows = elementCount(spec.shape) / columns;
      const stride = spec.kind === "matrix" ? roundUp(columns, MATRIX_ROW_STEP) : columns;
      places.push({ spec, start: size, rows, columns, stride });
      // So that each has its own parts of the gradient's norm, by which the one that is not finite is found.
      size = roundUp(size + rows * stride, NORM_PART);
    }
    if (decaying) decayEnd = size;
  }
  return { places, size, decayEnd };
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
  const sizeBytes = parameterLayout(config).size * 4;
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
  const places = new Map(layout.places.map((place) => [place.spec.name, place]));
  const place = (name: string): ParameterPlace => {
    const found = places.get(name);
    if (found === undefined) throw new RangeError(`Cannot find the parameter "${name}"`);
    return found;
  };
  const view = ({ start, rows, stride }: ParameterPlace): Tensor =>
    flat.view(start * 4, [rows * stride]);
  return {
    flat,
    weights: modelWeights(config, {
      vector: (name) => view(place(name)),
      matrix: (name): Matrix => {
        const found = place(name);
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

/** Takes one parameter's elements out of a buffer of the layout, without the padding. */
export function unpackParameter(flat: Float32Array, place: ParameterPlace): Float32Array {
  const { start, rows, columns, stride } = place;
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    values.set(flat.subarray(start + row * stride, start + row * stride + columns), row * columns);
  }
  return values;
}

/** Puts one parameter's elements into a buffer of the layout. */
export function packParameter(
  flat: Float32Array,
  place: ParameterPlace,
  values: Float32Array,
): void {
  const { spec, start, rows, columns, stride } = place;
  if (values.length !== rows * columns) {
    throw new RangeError(
      `Cannot set "${spec.name}": ${values.length} values, and it has ${rows * columns}`,
    );
  }
  for (let row = 0; row < rows; row++) {
    flat.set(values.subarray(row * columns, (row + 1) * columns), start + row * stride);
  }
}
