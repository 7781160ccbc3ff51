/** Where a model's weights lie: side by side in as few buffers as the device allows, so that one kernel can have all of them. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, OFFSET_ALIGNMENT, type Tensor } from "../gpu/tensor.ts";
import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { elementCount, roundUp } from "../model/shapes.ts";
import { matrixBytes, type MatrixDType } from "../model/weights/dtype.ts";
import type { WeightSpec } from "../model/weights/weight_specs.ts";
import { createMatrix, type Matrix } from "../ops/matrix.ts";

/** A weight, and how its elements are kept. */
export interface ArenaWeight {
  readonly spec: Pick<WeightSpec, "name" | "shape" | "kind">;
  /** f32 for a vector. */
  readonly dtype: MatrixDType;
}

/** The tensors of a model's weights by official name, zeros at first; disposing frees them. */
export interface WeightTensors extends Disposable {
  readonly matrices: ReadonlyMap<string, Matrix>;
  readonly vectors: ReadonlyMap<string, Tensor>;
}

/**
 * Allocates weights: the model's ends first, then one half of a block after the other, each whole in one buffer and its
 * weights in the same order. What is too large for a buffer has its own.
 *
 * @throws {RangeError} If not even a row fits in a binding.
 */
export function allocateWeights(
  gpu: Gpu,
  config: ModelConfig,
  weights: readonly ArenaWeight[],
): WeightTensors {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  const groups = groupsOf(config, weights).map((group) => ({ group, sizeBytes: sizeOf(group) }));
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Tensor>();
  const owned: Disposable[] = [];
  const allocate = (group: readonly ArenaWeight[], make: Make): void => {
    for (const { spec: { name, shape, kind }, dtype } of group) {
      const [rows = 0, columns = 0] = shape;
      if (kind === "vector") vectors.set(name, make(name, shape));
      else matrices.set(name, createMatrix(gpu, name, [rows, columns], { dtype, make }));
    }
  };
  const own: Make = (label, shape) => {
    const tensor = createTensor(gpu, label, shape);
    owned.push(tensor);
    return tensor;
  };
  try {
    for (const { group, sizeBytes } of groups) if (sizeBytes > limit) allocate(group, own);
    for (const shared of inBuffers(groups.filter(({ sizeBytes }) => sizeBytes <= limit), limit)) {
      const sizeBytes = shared.reduce((sum, group) => sum + group.sizeBytes, 0);
      const buffer = own("weights", [sizeBytes / 4]);
      let offset = 0;
      for (const { group } of shared) {
        allocate(group, (_, shape) => {
          const tensor = buffer.view(offset, shape);
          offset += roundUp(tensor.sizeBytes, OFFSET_ALIGNMENT);
          return tensor;
        });
      }
    }
  } catch (error) {
    for (const tensor of owned) tensor[Symbol.dispose]();
    throw error;
  }
  return {
    matrices,
    vectors,
    [Symbol.dispose](): void {
      for (const tensor of owned) tensor[Symbol.dispose]();
    },
  };
}

type Make = (label: string, shape: readonly number[]) => Tensor;

interface Group {
  readonly group: readonly ArenaWeight[];
  readonly sizeBytes: number;
}

/** The weights of the ends, and of each half of a block. */
function groupsOf(config: ModelConfig, weights: readonly ArenaWeight[]): ArenaWeight[][] {
  const halves = blockHalves(config);
  const ofHalf = (name: string) =>
    halves.findIndex(({ norm, prefix }) => name === norm || name.startsWith(prefix));
  const groups: ArenaWeight[][] = [[], ...halves.map(() => [])];
  for (const weight of weights) groups[ofHalf(weight.spec.name) + 1]?.push(weight);
  return groups.map((group) =>
    group.toSorted((a, b) => a.spec.name < b.spec.name ? -1 : Number(a.spec.name > b.spec.name))
  );
}

function sizeOf(group: readonly ArenaWeight[]): number {
  return group.reduce((sum, { spec: { shape, kind }, dtype }) => {
    const [rows = 0, columns = 0] = shape;
    const sizeBytes = kind === "vector"
      ? elementCount(shape) * 4
      : matrixBytes([rows, columns], dtype);
    return sum + roundUp(sizeBytes, OFFSET_ALIGNMENT);
  }, 0);
}

/** Groups, in their order, by the buffer that they fit in together. */
function inBuffers(groups: readonly Group[], limit: number): Group[][] {
  const buffers: Group[][] = [];
  let left = 0;
  for (const group of groups) {
    if (group.sizeBytes === 0) continue;
    if (group.sizeBytes > left) {
      buffers.push([]);
      left = limit;
    }
    buffers.at(-1)?.push(group);
    left -= group.sizeBytes;
  }
  return buffers;
}
