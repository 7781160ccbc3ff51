/** Weights of any shape, made in memory: what a benchmark of speed runs on. */

import type { Gpu } from "../../src/gpu/device.ts";
import { createTensor, elementCount, type Tensor } from "../../src/gpu/tensor.ts";
import { fromFloat32 } from "../../src/io/dtype.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { modelWeights, type WeightSpec, weightSpecs } from "../../src/model/weights.ts";
import { createMatrix, type Matrix, matrixBytes, type MatrixDType } from "../../src/ops/matrix.ts";
import type { LoadedWeights } from "../../src/engine/webgpu_executor.ts";

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

/** A block of this many random numbers is repeated: drawing billions would take longer than the benchmark. */
const BLOCK = 2 ** 20;

/** Random weights in the ranges of the published initialisation, so that activations stay ordinary numbers. */
export async function randomWeights(
  gpu: Gpu,
  config: ModelConfig,
  dtype: MatrixDType,
): Promise<LoadedWeights> {
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Tensor>();
  const uniform = randomUniform(BLOCK, 1);
  let sizeBytes = 0;
  for (const spec of weightSpecs(config)) {
    if (spec.kind === "vector") {
      const tensor = createTensor(gpu, spec.name, spec.shape);
      tensor.write(vectorValues(spec));
      vectors.set(spec.name, tensor);
      sizeBytes += tensor.sizeBytes;
    } else {
      const [rows = 0, columns = 0] = spec.shape;
      const matrix = createMatrix(gpu, spec.name, [rows, columns], { dtype });
      const bound = spec.name.includes("embedding") ? 0.02 : columns ** -0.5;
      const values = uniform.map((value) => value * bound);
      const bytes = dtype === "f32"
        ? new Uint8Array(values.buffer)
        : fromFloat32(values, dtype === "f16" ? "F16" : "BF16");
      for (const { tensor } of matrix.blocks) await fill(gpu, tensor, bytes);
      matrices.set(spec.name, matrix);
      sizeBytes += matrixBytes([rows, columns], dtype);
    }
  }
  const find = <T>(tensors: Map<string, T>, name: string): T => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new RangeError(`Cannot find "${name}"`);
    return tensor;
  };
  return {
    weights: modelWeights(config, {
      matrix: (name) => find(matrices, name),
      vector: (name) => find(vectors, name),
    }),
    sizeBytes,
    [Symbol.dispose]() {
      for (const tensor of [...matrices.values(), ...vectors.values()]) tensor[Symbol.dispose]();
    },
  };
}

function vectorValues(spec: WeightSpec): Float32Array {
  const uniform = randomUniform(elementCount(spec.shape), 2);
  const [, second = 1] = spec.shape;
  if (spec.name.endsWith("A_log")) return uniform.map((_, index) => Math.log(1 + index % second));
  if (spec.name.endsWith("dt_proj.bias")) return uniform.map((value) => -4 + value);
  if (spec.name.endsWith("D") || spec.name.includes("norm")) {
    return uniform.map((value) => 1 + 0.1 * value);
  }
  return uniform.map((value) => 0.4 * value);
}

/** Repeats bytes over a tensor. The queue keeps what it is given until it is waited for. */
async function fill(gpu: Gpu, tensor: Tensor, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < tensor.sizeBytes; offset += bytes.length) {
    tensor.write(bytes.subarray(0, Math.min(bytes.length, tensor.sizeBytes - offset)), offset);
  }
  gpu.device.queue.submit([]);
  if (tensor.sizeBytes > 2 ** 24) await gpu.device.queue.onSubmittedWorkDone();
}
