/** Tensors: shaped ranges of GPU memory, counted while they live. */

import { elementCount, roundUp } from "../model/shapes.ts";
import type { Gpu } from "./device.ts";

/** Views start at multiples of this: the largest `minStorageBufferOffsetAlignment` that WebGPU permits a device. */
export const OFFSET_ALIGNMENT = 256;

/**
 * A shaped range of a GPU buffer, of 4-byte elements (f32 or u32).
 *
 * The tensor that made its buffer owns it; views share it and free nothing.
 */
export class Tensor implements Disposable {
  /** The buffer. */
  readonly buffer: GPUBuffer;
  /** Row-major shape. */
  readonly shape: readonly number[];
  /** First byte in the buffer. */
  readonly offset: number;
  /** Bytes of the range that kernels see, a multiple of 16 so that it can be read as vec4. */
  readonly sizeBytes: number;
  readonly #gpu: Gpu;
  #owner: boolean;

  /** Use {@linkcode createTensor} or {@linkcode Tensor.view}. */
  constructor(
    gpu: Gpu,
    buffer: GPUBuffer,
    shape: readonly number[],
    range: { offset: number; sizeBytes: number; owner: boolean },
  ) {
    this.#gpu = gpu;
    this.buffer = buffer;
    this.shape = shape;
    this.offset = range.offset;
    this.sizeBytes = range.sizeBytes;
    this.#owner = range.owner;
  }

  /** Number of elements of the shape. */
  get size(): number {
    return elementCount(this.shape);
  }

  /** A tensor over part of this one; `offset` in bytes, a multiple of {@linkcode OFFSET_ALIGNMENT}. */
  view(offset: number, shape: readonly number[]): Tensor {
    const sizeBytes = roundUp(elementCount(shape) * 4, 16);
    if (offset % OFFSET_ALIGNMENT !== 0 || offset + sizeBytes > this.sizeBytes) {
      throw new RangeError(
        `Cannot view bytes ${offset} to ${
          offset + sizeBytes
        } of a tensor of ${this.sizeBytes} bytes`,
      );
    }
    return new Tensor(this.#gpu, this.buffer, shape, {
      offset: this.offset + offset,
      sizeBytes,
      owner: false,
    });
  }

  /** Writes `data` to the start of the tensor, or at byte `offset`, before any work submitted later. */
  write(data: Float32Array | Uint32Array | Uint8Array, offset = 0): void {
    if (offset + data.byteLength > this.sizeBytes) {
      throw new RangeError(
        `Cannot write ${data.byteLength} bytes at ${offset} of a tensor of ${this.sizeBytes} bytes`,
      );
    }
    // The platform's type wants an ArrayBuffer-backed view; ours never are shared.
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    this.#gpu.device.queue.writeBuffer(this.buffer, this.offset + offset, bytes);
  }

  /** Frees the buffer if this tensor owns it. */
  [Symbol.dispose](): void {
    if (!this.#owner) return;
    this.#owner = false;
    this.#gpu.live.sizeBytes -= this.buffer.size;
    this.#gpu.live.count -= 1;
    this.buffer.destroy();
  }
}

/**
 * Allocates a zeroed tensor.
 *
 * @throws {RangeError} If the device cannot hold a buffer of that size.
 */
export function createTensor(gpu: Gpu, label: string, shape: readonly number[]): Tensor {
  const sizeBytes = Math.max(16, roundUp(elementCount(shape) * 4, 16));
  const { maxBufferSize } = gpu.device.limits;
  if (sizeBytes > maxBufferSize) {
    throw new RangeError(
      `Cannot allocate ${label} [${shape.join(", ")}]: ${sizeBytes} bytes in one buffer, ` +
        `and this device allows ${maxBufferSize}`,
    );
  }
  const buffer = gpu.device.createBuffer({
    label,
    size: sizeBytes,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  gpu.live.sizeBytes += sizeBytes;
  gpu.live.count += 1;
  return new Tensor(gpu, buffer, shape, { offset: 0, sizeBytes, owner: true });
}
