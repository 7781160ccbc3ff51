/** Activations for sequences, of as many steps at once as pay. */

import type { Gpu } from "../gpu/device.ts";
import type { ModelConfig } from "../model/config/config.ts";
import {
  type Activations,
  createActivations,
  rowBytes,
  rowsWithin,
  servesAnyBatch,
} from "../passes/activations.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { WEBGPU_PARTS, webgpuPlatform } from "./platform.ts";

/** Activations may take this much; more rows at once no longer make a matmul faster. */
const ACTIVATION_BYTES = 96 * 2 ** 20;

/** The same, where rows are small. */
const MAX_ROWS = 8192;

/** With fewer rows a matmul leaves a large device idle, as wide as they may be: two tiles. */
const MIN_ROWS = 256;

/** Rows of a matmul's tile, and a multiple of the steps of a chunk of Mamba-2: parts of either cost as much as wholes. */
const ROW_STEP = 128;

/** Activations that all states of a model share: made when first needed, and kept. */
export class SequenceActivations implements Disposable {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  /** By number of sequences, where those for one number do not serve another. */
  readonly #made: Map<number, Activations<WebGpuKinds>> = new Map();

  constructor(gpu: Gpu, config: ModelConfig) {
    this.#gpu = gpu;
    this.#config = config;
  }

  /** The most rows, of all sequences together, that go through the model at once. */
  maxRows(batch: number): number {
    const { maxStorageBufferBindingSize } = this.#gpu.device.limits;
    const steps = Math.floor(ACTIVATION_BYTES / rowBytes(WEBGPU_PARTS, this.#config) / ROW_STEP);
    return Math.min(
      Math.max(MIN_ROWS, steps * ROW_STEP),
      rowsWithin(WEBGPU_PARTS, this.#config, batch, maxStorageBufferBindingSize),
      MAX_ROWS,
    );
  }

  /**
   * Checks that the device takes that many sequences at once.
   *
   * @throws {RangeError} With how many it takes, if it does not.
   */
  requireBatch(batch: number): void {
    if (batch <= this.maxRows(batch)) return;
    let [fits, tooMany] = [0, batch];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (middle > this.maxRows(middle)) tooMany = middle;
      else fits = middle;
    }
    throw new RangeError(
      `Cannot run ${batch} sequences at once: this device takes at most ${fits}`,
    );
  }

  /** Activations for any shape of {@linkcode SequenceActivations.maxRows} rows in that many sequences. */
  of(batch: number): Activations<WebGpuKinds> {
    const key = servesAnyBatch(WEBGPU_PARTS, this.#config) ? 0 : batch;
    let activations = this.#made.get(key);
    if (activations === undefined) {
      activations = createActivations(webgpuPlatform(this.#gpu), this.#config, {
        rows: this.maxRows(batch),
        batch,
      });
      this.#made.set(key, activations);
    }
    return activations;
  }

  [Symbol.dispose](): void {
    for (const activations of this.#made.values()) activations[Symbol.dispose]();
    this.#made.clear();
  }
}
