/** WebGPU, as passes see it. */

import type { Gpu } from "../gpu/device.ts";
import { Program } from "../gpu/program.ts";
import { createTensor } from "../gpu/tensor.ts";
import { matmulBwdWScratch } from "../ops/training/linear_bwd.ts";
import { Parts } from "../passes/parts.ts";
import type { Platform } from "../passes/platform.ts";
import { WEBGPU_OPS, type WebGpuKinds } from "./op_set.ts";

/** What WebGPU can run inside a block. */
export const WEBGPU_PARTS: Parts<WebGpuKinds> = new Parts("WebGPU", WEBGPU_OPS);

/** A device, for passes. */
export function webgpuPlatform(gpu: Gpu): Platform<WebGpuKinds> {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  return {
    ops: WEBGPU_OPS,
    parts: WEBGPU_PARTS,
    createProgram: () => new Program(gpu),
    createTensor: (label, shape) => createTensor(gpu, label, shape),
    lackOfRoom: (label, sizeBytes) =>
      sizeBytes <= most
        ? undefined
        : `${label} takes ${sizeBytes} bytes in one binding, and ${gpu.name} has at most ${most}`,
    matrixOver: (tensor, { rows, columns, stride }) => ({
      ...{ rows, columns, stride, dtype: "f32", blocks: [{ tensor, rowStart: 0, rows }] },
      [Symbol.dispose]: () => {},
    }),
    matmulBwdWScratch: (size, rows) => matmulBwdWScratch(gpu, size, rows),
  };
}
