/** Programs: lists of ops in the module's memory, which one call runs. */

import type { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { Cpu } from "./module.ts";

/** Words of an op record: kind, items, grain, arguments. See kernels/cpu/assembly/record.ts. */
const RECORD_WORDS = 32;

/** One op and what it works on. */
export interface CpuOp {
  readonly kind: OpKind;
  /** Independent pieces of work. */
  readonly items: number;
  /** Items that a thread takes at once: some ten microseconds of work. No result depends on it. */
  readonly grain: number;
  /** Addresses, counts and the bits of floats (see {@linkcode floatBits}), in the order that the op's source states. */
  readonly args: readonly number[];
  /** Scratch memory that a thread needs for it; default none. */
  readonly scratchBytes?: number;
  readonly label: string;
}

/** A fixed list of ops over fixed tensors. Running it allocates nothing. */
export class CpuProgram implements Disposable {
  /** The device. */
  readonly cpu: Cpu;
  readonly #ops: CpuOp[] = [];
  #list: number | undefined;

  /** An empty program. */
  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }

  /** Appends one op. */
  add(op: CpuOp): void {
    if (this.#list !== undefined) {
      throw new Error(`Cannot add ${op.label}: the program is in use`);
    }
    if (op.args.length + 3 > RECORD_WORDS) {
      throw new RangeError(`Cannot add ${op.label}: ${op.args.length} arguments`);
    }
    if (op.items > 0) this.#ops.push(op);
  }

  /** Number of ops. */
  get length(): number {
    return this.#ops.length;
  }

  /** Labels of the ops in order. */
  get labels(): string[] {
    return this.#ops.map(({ label }) => label);
  }

  /** Runs all ops in order, `times` times. */
  run(times = 1): void {
    if (this.#ops.length === 0) return;
    this.#list ??= this.#write();
    this.cpu.run(this.#list, this.#ops.length, times);
  }

  /** Runs `count` ops from the one with that index on, once. */
  runPart(first: number, count: number): void {
    if (this.#ops.length === 0) return;
    this.#list ??= this.#write();
    this.cpu.run(this.#list + first * RECORD_WORDS * 4, count, 1);
  }

  #write(): number {
    this.cpu.reserveScratch(Math.max(...this.#ops.map(({ scratchBytes = 0 }) => scratchBytes)));
    const words = new Uint32Array(this.#ops.length * RECORD_WORDS);
    for (const [index, { kind, items, grain, args }] of this.#ops.entries()) {
      words.set([kind, items, Math.max(1, grain), ...args], index * RECORD_WORDS);
    }
    const list = this.cpu.memory.allocate("op records", words.byteLength);
    this.cpu.memory.bytes(list, words.byteLength).set(new Uint8Array(words.buffer));
    return list;
  }

  /** Frees the list; the tensors belong to others. */
  [Symbol.dispose](): void {
    if (this.#list !== undefined) this.cpu.memory.free(this.#list);
    this.#list = undefined;
    this.#ops.length = 0;
  }
}

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** A float as the word of an op record. */
export function floatBits(value: number): number {
  FLOAT[0] = value;
  return BITS[0] ?? 0;
}
