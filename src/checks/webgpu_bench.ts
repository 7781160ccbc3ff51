/** The WebGPU executor, as checks see it. */

import { type Gpu, openGpu } from "../gpu/device.ts";
import { encode, Program } from "../gpu/program.ts";
import { Staging } from "../gpu/readback.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { matrixRowBytes } from "../model/weights/dtype.ts";
import { createMatrix, type Matrix, writeMatrixRows } from "../ops/matrix.ts";
import { sizeTogether, viewsOf } from "../passes/together.ts";
import type { WebGpuKinds } from "../webgpu/op_set.ts";
import { type Bench, sealBench, type Workspace } from "./bench.ts";
import { CHECKED_WEBGPU_OPS } from "./webgpu_ops.ts";

/**
 * Opens a device for checks; disposing destroys it.
 *
 * @param device A device of the caller's to use instead, which is not destroyed.
 * @throws {UnsupportedDeviceError} If there is no adapter.
 */
export async function openWebgpuBench(device?: GPUDevice): Promise<Bench & Disposable> {
  const gpu = await openGpu(device);
  return { ...webgpuBench(gpu), [Symbol.dispose]: () => gpu[Symbol.dispose]() };
}

/**
 * The bench of a device that is open.
 *
 * @param ops Ops that take the place of those of src/ops: for tests of checks.
 */
export function webgpuBench(gpu: Gpu, ops: Partial<typeof CHECKED_WEBGPU_OPS> = {}): Bench {
  return sealBench<WebGpuKinds>({
    device: gpu.name,
    ops: { ...CHECKED_WEBGPU_OPS, ...ops },
    open: () => new WebgpuWorkspace(gpu),
  });
}

class WebgpuWorkspace implements Workspace<WebGpuKinds> {
  readonly program: Program;
  readonly #gpu: Gpu;
  readonly #owned: Disposable[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.program = new Program(gpu);
  }

  tensor(words: Uint32Array<ArrayBuffer>): Tensor {
    const tensor = createTensor(this.#gpu, "guarded", [words.length]);
    this.#owned.push(tensor);
    tensor.write(words);
    return tensor;
  }

  tensors(words: readonly Uint32Array<ArrayBuffer>[]): Tensor[] {
    const sizes = Object.fromEntries(words.map(({ length }, i) => [`${i}`, length]));
    const tensor = createTensor(this.#gpu, "guarded", [sizeTogether(sizes)]);
    this.#owned.push(tensor);
    return Object.values(viewsOf(tensor, sizes)).map((view, i) => {
      view.write(words[i] ?? new Uint32Array());
      return view;
    });
  }

  matrix(
    { dtype, stored }: Parameters<Workspace["matrix"]>[0],
    shape: readonly [number, number],
    { guard, rowsPerBlock }: Parameters<Workspace["matrix"]>[2],
  ): Matrix {
    const maxBindingBytes = rowsPerBlock && rowsPerBlock * matrixRowBytes(shape[1], dtype);
    const options = maxBindingBytes === undefined ? { dtype } : { dtype, maxBindingBytes };
    const exact = createMatrix(this.#gpu, "exact", shape, options);
    try {
      const blocks = exact.blocks.map((block) => {
        const words = new Uint32Array(block.tensor.size + guard.length);
        words.set(guard, block.tensor.size);
        return { ...block, tensor: this.tensor(words) };
      });
      const matrix: Matrix = { ...exact, blocks, [Symbol.dispose]() {} };
      writeMatrixRows(matrix, 0, stored);
      return matrix;
    } finally {
      exact[Symbol.dispose]();
    }
  }

  matrixOver(tensor: Tensor, shape: readonly [number, number]): Matrix {
    const exact = createMatrix(this.#gpu, "exact", shape, { dtype: "f32" });
    try {
      const blocks = [{ tensor, rowStart: 0, rows: shape[0] }];
      return { ...exact, blocks, [Symbol.dispose]() {} };
    } finally {
      exact[Symbol.dispose]();
    }
  }

  async run(tensors: readonly Tensor[]): Promise<Uint32Array<ArrayBuffer>[]> {
    const sizes = tensors.map(({ sizeBytes }) => sizeBytes);
    const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const staging = await Staging.create(this.#gpu, total);
    try {
      const { buffer } = staging;
      const after = tensors.map((from, i) => ({
        from,
        to: { buffer, offset: starts[i] ?? 0 },
        sizeBytes: from.sizeBytes,
      }));
      this.#gpu.device.queue.submit([encode(this.#gpu, [this.program], { after })]);
      const all = await staging.read();
      return sizes.map((sizeBytes, i) =>
        new Uint32Array(all.slice(starts[i], (starts[i] ?? 0) + sizeBytes).buffer)
      );
    } finally {
      staging[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.program[Symbol.dispose]();
    for (const owned of this.#owned) owned[Symbol.dispose]();
  }
}
