/** Activations for sequences, of as many steps at once as pay. */

import type { ModelConfig } from "../model/config/config.ts";
import { stateLayout } from "../model/state_layout.ts";
import { type Activations, createActivations, rowBytes } from "../passes/activations.ts";
import { MAX_MEMORY_BYTES } from "./machine/memory.ts";
import type { Cpu } from "./machine/module.ts";
import type { CpuKinds } from "./op_set.ts";
import { CPU_PARTS, cpuPlatform } from "./platform.ts";

/**
 * Steps of a sequence that go through the model at once: the rows that a matmul unpacks a panel of weights for. It is no
 * faster with more, and these of mamba-130m take some 0.8 s, in which nothing else of a program gets its turn.
 */
const MAX_STEPS = 96;

/** Activations may take this much, where several sequences share them. */
const SHARED_BYTES = 32 * 2 ** 20;

/** Activations that all states of a model share: made when first needed, and kept. */
export class SequenceActivations implements Disposable {
  readonly #cpu: Cpu;
  readonly #config: ModelConfig;
  /** What a row takes. */
  readonly #rowBytes: number;
  /** By rows. */
  readonly #made: Map<number, Activations<CpuKinds>> = new Map();

  constructor(cpu: Cpu, config: ModelConfig) {
    this.#cpu = cpu;
    this.#config = config;
    this.#rowBytes = rowBytes(CPU_PARTS, config);
  }

  /** Steps of each of `batch` sequences that go through the model at once: the same always, and so are the bits. */
  stepsAtOnce(batch: number): number {
    const rows = Math.max(MAX_STEPS, SHARED_BYTES / this.#rowBytes);
    return Math.max(1, Math.min(MAX_STEPS, Math.floor(rows / batch)));
  }

  /**
   * Checks that there is room for that many sequences at once.
   *
   * @throws {RangeError} With for how many there is, if not.
   */
  requireBatch(batch: number): void {
    const free = MAX_MEMORY_BYTES - this.#cpu.memory.live.sizeBytes;
    const each = stateLayout(this.#config, 1).sizeBytes + this.#rowBytes;
    const fits = Math.floor(free / each);
    if (batch <= fits) return;
    throw new RangeError(
      `Cannot run ${batch} sequences at once: this device takes at most ${fits}`,
    );
  }

  /** Activations for {@linkcode SequenceActivations.stepsAtOnce} steps of `batch` sequences. */
  of(batch: number): Activations<CpuKinds> {
    // Powers of two, so that those of all batches together take no more than twice the largest.
    const rows = 2 ** Math.ceil(Math.log2(batch * this.stepsAtOnce(batch)));
    let activations = this.#made.get(rows);
    if (activations === undefined) {
      activations = createActivations(cpuPlatform(this.#cpu), this.#config, { rows, batch: 0 });
      this.#made.set(rows, activations);
    }
    return activations;
  }

  [Symbol.dispose](): void {
    for (const activations of this.#made.values()) activations[Symbol.dispose]();
    this.#made.clear();
  }
}
