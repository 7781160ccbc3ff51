/** The module's memory: blocks of it, counted while they live. */

import { roundUp } from "../../model/shapes.ts";

/** Blocks start at multiples of this: a cache line, so that threads never share one across tensors. */
const BLOCK_ALIGNMENT = 64;

const PAGE_BYTES = 65536;

/** What 32-bit addresses reach, but for the last page: the end of a range must be an address too. */
export const MAX_MEMORY_BYTES = 2 ** 32 - PAGE_BYTES;

/** What is allocated of a {@linkcode CpuMemory}. */
export interface LiveBytes {
  sizeBytes: number;
  count: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Hands out zeroed blocks of a WebAssembly memory, which grows as needed. */
export class CpuMemory {
  /** The memory itself. */
  readonly memory: WebAssembly.Memory;
  /** What is allocated now. */
  readonly live: LiveBytes = { sizeBytes: 0, count: 0 };
  /** Free ranges below `#top`, by address, none touching another. */
  #free: Range[] = [];
  /** Where the memory begins that was never handed out, which is zero. */
  #top: number;
  readonly #sizes = new Map<number, number>();

  /**
   * @param memory One that nothing else allocates from.
   * @param start First byte that the module does not use itself.
   */
  constructor(memory: WebAssembly.Memory, start: number) {
    this.memory = memory;
    this.#top = roundUp(start, BLOCK_ALIGNMENT);
  }

  /**
   * Allocates zeroed bytes.
   *
   * @throws {RangeError} Past 4 GiB, or where the system has no more.
   */
  allocate(label: string, sizeBytes: number): number {
    const size = roundUp(Math.max(1, sizeBytes), BLOCK_ALIGNMENT);
    const index = this.#free.findIndex(({ start, end }) => end - start >= size);
    const found = this.#free[index];
    let address = this.#top;
    if (found === undefined) {
      this.#grow(label, this.#top + size);
      this.#top += size;
    } else {
      address = found.start;
      const rest = { start: address + size, end: found.end };
      this.#free.splice(index, 1, ...(rest.start < rest.end ? [rest] : []));
      this.bytes(address, size).fill(0);
    }
    this.#sizes.set(address, size);
    this.live.sizeBytes += size;
    this.live.count += 1;
    return address;
  }

  /** Frees what {@linkcode allocate} gave. */
  free(address: number): void {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new RangeError(`Cannot free ${address}: nothing lives there`);
    this.#sizes.delete(address);
    this.live.sizeBytes -= size;
    this.live.count -= 1;
    let range: Range = { start: address, end: address + size };
    const next = this.#free.findIndex(({ start }) => start > address);
    const at = next < 0 ? this.#free.length : next;
    const [before, after] = [this.#free[at - 1], this.#free[at]];
    const touchesBefore = before?.end === range.start;
    const touchesAfter = after?.start === range.end;
    if (touchesBefore) range = { start: before.start, end: range.end };
    if (touchesAfter) range = { start: range.start, end: after.end };
    const first = at - (touchesBefore ? 1 : 0);
    this.#free.splice(first, Number(touchesBefore) + Number(touchesAfter), range);
  }

  /** The bytes at an address. Take them anew after an allocation: growing may detach them. */
  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    // The platform's types tell shared memory apart; no reader or writer here needs to.
    return new Uint8Array(this.memory.buffer as ArrayBuffer, address, length);
  }

  #grow(label: string, end: number): void {
    const missing = end - this.memory.buffer.byteLength;
    if (missing <= 0) return;
    const message = `Cannot allocate ${label}: ${end} bytes in all`;
    if (end > MAX_MEMORY_BYTES) {
      throw new RangeError(`${message}, and the CPU executor reaches ${MAX_MEMORY_BYTES}`);
    }
    try {
      this.memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch (cause) {
      throw new RangeError(`${message}, and the system gives no more`, { cause });
    }
  }
}
