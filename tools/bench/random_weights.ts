/** Weights of any shape, made in memory: what a benchmark of speed runs on. */

import type { Gpu } from "../../src/gpu/device.ts";
import { fromFloat32 } from "../../src/io/dtype.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import { weightBytes, weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { type Matrix, writeMatrixRows } from "../../src/ops/matrix.ts";
import { isQuantized, matrixBytes, type MatrixDType } from "../../src/model/weights/dtype.ts";
import { type QuantizedRows, quantizeRows } from "../../src/model/weights/quantize.ts";
import { type LoadedWeights, modelWeights } from "../../src/passes/weights.ts";
import type { WebGpuKinds } from "../../src/webgpu/op_set.ts";
import { WEBGPU_PARTS } from "../../src/webgpu/platform.ts";
import { allocateWeights } from "../../src/webgpu/weight_arena.ts";
import { randomPieces } from "../random_tensor.ts";

/** Uniform in [-1, 1), the same every time (mulberry32). */
export function randomUniform(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/**
 * Random weights in the ranges of the published initialization, so that activations stay ordinary numbers.
 *
 * A matrix repeats its first million values: drawing billions would take longer than the benchmark.
 */
export async function randomWeights(
  gpu: Gpu,
  config: ModelConfig,
  dtype: MatrixDType,
): Promise<LoadedWeights<WebGpuKinds>> {
  const tensors = allocateWeights(
    gpu,
    config,
    weightSpecs(config).map((spec) => ({
      spec,
      dtype: spec.kind === "vector"
        ? "f32"
        : spec.neverQuantized && isQuantized(dtype)
        ? "f16"
        : dtype,
    })),
  );
  const find = <T>(tensors: ReadonlyMap<string, T>, name: string): T => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new RangeError(`Cannot find "${name}"`);
    return tensor;
  };
  for (const spec of weightSpecs(config)) {
    const pieces = randomPieces(config, spec, 1);
    const { value: first } = pieces.next();
    if (!(first instanceof Float32Array)) throw new RangeError(`Cannot fill "${spec.name}"`);
    if (spec.kind === "vector") {
      const tensor = find(tensors.vectors, spec.name);
      tensor.write(first);
      let offset = first.byteLength;
      for (const piece of pieces) {
        tensor.write(piece, offset);
        offset += piece.byteLength;
      }
    } else {
      const matrix = find(tensors.matrices, spec.name);
      await fill(gpu, matrix, first.subarray(0, first.length - first.length % matrix.columns));
    }
  }
  return {
    weights: modelWeights(WEBGPU_PARTS, config, {
      matrix: (name) => find(tensors.matrices, name),
      vector: (name) => find(tensors.vectors, name),
    }),
    sizeBytes: weightBytes(config, dtype),
    [Symbol.dispose]: () => tensors[Symbol.dispose](),
  };
}

/** Whole rows in a matrix's own type, as writeMatrixRows() takes them. */
export function storedRows(
  values: Float32Array,
  { columns, dtype }: Pick<Matrix, "columns" | "dtype">,
): Float32Array | Uint16Array | QuantizedRows {
  if (isQuantized(dtype)) return quantizeRows(values, columns, dtype);
  if (dtype === "f32") return values;
  return new Uint16Array(fromFloat32(values, dtype === "f16" ? "F16" : "BF16").buffer);
}

/** Repeats rows over a matrix. The queue keeps what it is given until it is waited for. */
async function fill(gpu: Gpu, matrix: Matrix, values: Float32Array): Promise<void> {
  const { rows, columns } = matrix;
  const step = values.length / columns;
  const whole = storedRows(values, matrix);
  for (let row = 0; row < rows; row += step) {
    const rest = rows - row;
    const part = rest < step ? storedRows(values.subarray(0, rest * columns), matrix) : whole;
    writeMatrixRows(matrix, row, part);
  }
  gpu.device.queue.submit([]);
  if (matrixBytes([rows, columns], matrix.dtype) > 2 ** 24) {
    await gpu.device.queue.onSubmittedWorkDone();
  }
}
