/** Tensors: shaped ranges of the module's memory, counted while they live. */

import { elementCount } from "../../model/shapes.ts";
import type { CpuMemory } from "./memory.ts";
import type { Cpu } from "./module.ts";

/**
 * A shaped range of memory, of 4-byte elements (f32 or u32).
 *
 * The tensor that allocated its range owns it; views share it and free nothing.
 */
export class CpuTensor implements Disposable {
  /** First byte in the module's memory. */
  readonly address: number;
  /** Row-major shape. */
  readonly shape: readonly number[];
  readonly #memory: CpuMemory;
  #owner: boolean;

  /** Use {@linkcode createCpuTensor} or {@linkcode CpuTensor.view}. */
  constructor(memory: CpuMemory, address: number, shape: readonly number[], owner: boolean) {
    this.#memory = memory;
    this.address = address;
    this.shape = shape;
    this.#owner = owner;
  }

  /** Number of elements of the shape. */
  get size(): number {
    return elementCount(this.shape);
  }

  /** Bytes of the range. */
  get sizeBytes(): number {
    return this.size * 4;
  }

  /** A tensor over part of this one; `offset` in bytes, a multiple of 4. */
  view(offset: number, shape: readonly number[]): CpuTensor {
    const end = offset + elementCount(shape) * 4;
    if (offset % 4 !== 0 || end > this.sizeBytes) {
      throw new RangeError(
        `Cannot view bytes ${offset} to ${end} of a tensor of ${this.sizeBytes} bytes`,
      );
    }
    return new CpuTensor(this.#memory, this.address + offset, shape, false);
  }

  /** Writes `data` to the start of the tensor, or at byte `offset`. */
  write(data: Float32Array | Uint32Array | Uint8Array, offset = 0): void {
    if (offset + data.byteLength > this.sizeBytes) {
      throw new RangeError(
        `Cannot write ${data.byteLength} bytes at ${offset} of a tensor of ${this.sizeBytes} bytes`,
      );
    }
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#memory.bytes(this.address + offset, bytes.length).set(bytes);
  }

  /** Copies all of another tensor of the same size. */
  copyFrom({ address, sizeBytes }: CpuTensor): void {
    if (sizeBytes !== this.sizeBytes) {
      throw new RangeError(
        `Cannot copy a tensor of ${sizeBytes} bytes to one of ${this.sizeBytes} bytes`,
      );
    }
    this.#memory.bytes(this.address, sizeBytes).set(this.#memory.bytes(address, sizeBytes));
  }

  /** Makes all elements zero. */
  clear(): void {
    this.#memory.bytes(this.address, this.sizeBytes).fill(0);
  }

  /** A copy of the elements as words. */
  readWords(): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.readBytes().buffer);
  }

  /** A copy of the elements as floats. */
  read(): Float32Array<ArrayBuffer> {
    return new Float32Array(this.readBytes().buffer);
  }

  /** A copy of the bytes. */
  readBytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.bytes(this.address, this.sizeBytes));
  }

  /** Frees the range if this tensor owns it. */
  [Symbol.dispose](): void {
    if (!this.#owner) return;
    this.#owner = false;
    this.#memory.free(this.address);
  }
}

/**
 * Allocates a zeroed tensor.
 *
 * @throws {RangeError} If the memory cannot hold it.
 */
export function createCpuTensor(cpu: Cpu, label: string, shape: readonly number[]): CpuTensor {
  const address = cpu.memory.allocate(
    `${label} [${shape.join(", ")}]`,
    elementCount(shape) * 4,
  );
  return new CpuTensor(cpu.memory, address, shape, true);
}
