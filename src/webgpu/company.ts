/**
 * Several sequences at once: they are rows of one larger state, which they are copied to before a call and from after it.
 *
 * So every kernel serves a company as it serves a batch, whatever the mixer. The copies are two of the states a call, beside
 * weights and states that every step of it reads; and what a sequence has of its own is as it was until the call succeeds.
 */

import type { Gpu } from "../gpu/device.ts";
import { Program } from "../gpu/program.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { stateLayout } from "../model/state_layout.ts";
import { elementCount } from "../model/shapes.ts";
import { rowCopy, type RowPart, rowTable } from "../ops/row_copy.ts";
import { type Activations, createActivations, rowsWithin } from "../passes/activations.ts";
import { type Seat, WebGpuState } from "./executor_state.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { WEBGPU_PARTS, webgpuPlatform } from "./platform.ts";

/** Rows that companies have: each has programs of its own, and rows without a sequence are computed for nothing. */
const SIZES: readonly number[] = [2, 4, 8, 16, 24, 32, 48, 64, 96, 128];

/** What one number of rows works on. */
export interface Group {
  readonly state: WebGpuState;
  readonly activations: Activations<WebGpuKinds>;
  readonly table: Tensor;
  readonly units: number;
}

/** Makes room for companies, and keeps it for the next one. */
export class Company implements Disposable {
  /** The most sequences. */
  readonly most: number;
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  /** By their rows; all lie in one buffer, as one of them works at a time. */
  readonly #groups: Map<number, Group> = new Map();
  #buffer: Tensor | undefined;
  #activations: Activations<WebGpuKinds> | undefined;

  constructor(gpu: Gpu, config: ModelConfig) {
    this.#gpu = gpu;
    this.#config = config;
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const rows = rowsWithin(WEBGPU_PARTS, config, 0, limit);
    this.most = Math.max(
      1,
      ...SIZES.filter((size) => size <= rows && stateLayout(config, size).sizeBytes <= limit),
    );
  }

  /** What `count` sequences work on. */
  of(count: number): Group {
    const size = SIZES.find((size) => size >= count) ?? count;
    if (size > (this.#activations?.rows ?? 0)) this.#makeRoom(size);
    let group = this.#groups.get(size);
    if (group === undefined) {
      group = this.#makeGroup(size);
      this.#groups.set(size, group);
    }
    return group;
  }

  /** A sequence's place in a company: the one that it had, if that is where it sits again. */
  seat({ state: company, table, units }: Group, state: WebGpuState, row: number): Seat {
    const { seat } = state;
    if (seat?.company === company && seat.row === row) return seat;
    seat?.[Symbol.dispose]();
    const tensors = { table, own: state.parts.buffer, rows: company.parts.buffer };
    const copy = (toOwn: boolean): Program => {
      const program = new Program(this.#gpu);
      rowCopy(program, tensors, { row, units, toOwn, label: toOwn ? "leave" : "enter" });
      return program;
    };
    const [enter, leave] = [copy(false), copy(true)];
    return state.seat = {
      ...{ company, row, enter, leave },
      [Symbol.dispose](): void {
        enter[Symbol.dispose]();
        leave[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    for (const { state, table } of this.#groups.values()) {
      state[Symbol.dispose]();
      table[Symbol.dispose]();
    }
    this.#groups.clear();
    this.#activations?.[Symbol.dispose]();
    this.#activations = undefined;
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = undefined;
  }

  #makeRoom(rows: number): void {
    this[Symbol.dispose]();
    const { sizeBytes } = stateLayout(this.#config, rows);
    this.#buffer = createTensor(this.#gpu, "company", [sizeBytes / 4]);
    this.#activations = createActivations(webgpuPlatform(this.#gpu), this.#config, {
      rows,
      batch: 0,
    });
  }

  #makeGroup(size: number): Group {
    const gpu = this.#gpu;
    const [buffer, activations] = [this.#buffer, this.#activations];
    if (buffer === undefined || activations === undefined) {
      throw new RangeError(`Cannot run ${size} sequences: there is no room for them`);
    }
    const state = new WebGpuState(gpu, this.#config, size, buffer);
    const words = rowTable(rowParts(this.#config, size));
    const table = createTensor(gpu, "row table", [words.length]);
    table.write(words);
    return { state, activations, table, units: words.length / 4 };
  }
}

/** Where the parts of a sequence's state are, alone and in a batch. */
function rowParts(config: ModelConfig, batch: number): RowPart[] {
  const alone = stateLayout(config, 1);
  return [...stateLayout(config, batch).parts.values()].map(({ name, shape, offset }) => ({
    size: elementCount(shape) / batch,
    own: (alone.parts.get(name)?.offset ?? 0) / 4,
    rows: offset / 4,
  }));
}
