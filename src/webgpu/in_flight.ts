/** Results of work that is still under way: copied aside as it ends, and read all at once later. */

import type { Gpu } from "../gpu/device.ts";
import { Staging } from "../gpu/readback.ts";
import type { Copy } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";

/**
 * How much may be submitted before its results are read.
 *
 * Reading waits until the GPU has nothing left to do (see gpu/readback.ts), and only then can more be submitted: on an
 * H100 that pause is about 1 ms, here shared by so many steps.
 */
export const MAX_IN_FLIGHT = 8;

/** Copies of results, oldest first, in one staging buffer. */
export class InFlight implements Disposable {
  readonly #gpu: Gpu;
  #staging: Staging | undefined;
  /** Bytes in use. */
  #end = 0;
  /** Lengths of the parts of what was put in and is not read yet. */
  #pending: number[][] = [];
  #read: Float32Array[][] = [];

  /** Nothing is allocated before the first use. */
  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /**
   * Finds room for tensors' values.
   *
   * @returns The copies to encode after the work that writes the tensors, in a submission made before the next call.
   */
  async add(tensors: readonly Tensor[]): Promise<Copy[]> {
    const total = tensors.reduce((bytes, { size }) => bytes + size * 4, 0);
    if (this.#staging === undefined || this.#end + total > this.#staging.buffer.size) {
      await this.#collect();
      this.#staging?.[Symbol.dispose]();
      this.#staging = await Staging.create(this.#gpu, total * MAX_IN_FLIGHT);
    }
    const { buffer } = this.#staging;
    this.#pending.push(tensors.map(({ size }) => size));
    return tensors.map((from) => {
      const copy = { from, to: { buffer, offset: this.#end }, sizeBytes: from.size * 4 };
      this.#end += copy.sizeBytes;
      return copy;
    });
  }

  /** Waits for all submitted work, and gives what was put in since the last call. */
  async take(): Promise<Float32Array[][]> {
    await this.#collect();
    return this.#read.splice(0);
  }

  async #collect(): Promise<void> {
    if (this.#staging === undefined || this.#pending.length === 0) return;
    const pending = this.#pending.splice(0);
    const { buffer } = await this.#staging.read(this.#end);
    this.#end = 0;
    let offset = 0;
    for (const sizes of pending) {
      this.#read.push(sizes.map((size) => {
        const values = new Float32Array(buffer, offset, size);
        offset += values.byteLength;
        return values;
      }));
    }
  }

  /** Frees the staging buffer; what was not taken is lost. */
  [Symbol.dispose](): void {
    this.#staging?.[Symbol.dispose]();
    this.#staging = undefined;
  }
}
