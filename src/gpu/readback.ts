/**
 * Reading GPU memory back: the one place that maps buffers.
 *
 * In Deno `mapAsync()` blocks until the GPU is idle and then makes its promise wait 10 ms more, although the data is
 * there as soon as the call returns. So the data is taken at once where the platform lets us (0.1 ms instead of 11 ms),
 * and the promise is awaited where it does not. `getMappedRange()` on a buffer that was never mapped panics the whole
 * process there instead of throwing, so every staging buffer is mapped once, and awaited, when it is made.
 */

import type { Gpu } from "./device.ts";
import type { Tensor } from "./tensor.ts";
import { roundUp } from "../model/shapes.ts";

/** A buffer that results are copied to and read from, again and again. */
export class Staging implements Disposable {
  /** Copy results here, then call {@linkcode Staging.read}. */
  readonly buffer: GPUBuffer;
  readonly #gpu: Gpu;
  #disposed = false;

  private constructor(gpu: Gpu, sizeBytes: number) {
    this.#gpu = gpu;
    this.buffer = gpu.device.createBuffer({
      label: "staging",
      size: roundUp(Math.max(sizeBytes, 4), 4),
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    gpu.live.sizeBytes += this.buffer.size;
    gpu.live.count += 1;
  }

  /**
   * Makes a staging buffer and maps it for the first time.
   *
   * @throws {DeviceLostError} If the device is gone.
   */
  static async create(gpu: Gpu, sizeBytes: number): Promise<Staging> {
    const staging = new Staging(gpu, sizeBytes);
    try {
      await staging.buffer.mapAsync(GPUMapMode.READ);
    } catch (error) {
      staging[Symbol.dispose]();
      gpu.check();
      throw error;
    }
    staging.buffer.unmap();
    return staging;
  }

  /**
   * Waits for all submitted work and returns a copy of the first `sizeBytes` bytes.
   *
   * @param wait "blocking" takes the data as soon as the platform has it, and falls back to "promise", which awaits
   * the mapping as a browser needs. The result is the same.
   */
  async read(
    sizeBytes: number = this.buffer.size,
    wait: "blocking" | "promise" = "blocking",
  ): Promise<Uint8Array<ArrayBuffer>> {
    const length = roundUp(sizeBytes, 4);
    const mapped = this.buffer.mapAsync(GPUMapMode.READ, 0, length);
    let range: ArrayBuffer | undefined;
    if (wait === "blocking") {
      // Unmapping before the promise settles rejects it on some platforms: nobody is waiting for it then.
      mapped.catch(() => {});
      range = this.#rangeNow(length);
    }
    if (range === undefined) {
      try {
        await mapped;
      } catch (error) {
        this.#gpu.check();
        throw error;
      }
      range = this.buffer.getMappedRange(0, length);
    }
    const bytes = new Uint8Array(sizeBytes);
    bytes.set(new Uint8Array(range, 0, sizeBytes));
    this.buffer.unmap();
    // Where the data came without waiting, the error scopes of the work before have not settled yet.
    await undefined;
    this.#gpu.check();
    return bytes;
  }

  #rangeNow(length: number): ArrayBuffer | undefined {
    try {
      return this.buffer.getMappedRange(0, length);
    } catch {
      return undefined;
    }
  }

  /** Frees the buffer. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#gpu.live.sizeBytes -= this.buffer.size;
    this.#gpu.live.count -= 1;
    this.buffer.destroy();
  }
}

/** Reads bytes once, through a staging buffer made for it. For repeated reads keep a {@linkcode Staging}. */
export async function readBuffer(
  gpu: Gpu,
  from: { readonly buffer: GPUBuffer; readonly offset: number },
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const staging = await Staging.create(gpu, sizeBytes);
  try {
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from.buffer, from.offset, staging.buffer, 0, roundUp(sizeBytes, 4));
    gpu.device.queue.submit([encoder.finish()]);
    return await staging.read(sizeBytes);
  } finally {
    staging[Symbol.dispose]();
  }
}

/** Reads a whole tensor as floats. */
export async function readFloats(gpu: Gpu, tensor: Tensor): Promise<Float32Array> {
  const bytes = await readBuffer(gpu, tensor, tensor.size * 4);
  return new Float32Array(bytes.buffer);
}
