/** A state on WebGPU, with the programs and buffers that work on it. */

import type { Gpu } from "../gpu/device.ts";
import { type Copy, destroyUniforms, type Program } from "../gpu/program.ts";
import { Staging } from "../gpu/readback.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { createState, type State } from "./state.ts";
import { encodeSettings, type SamplerSettings, SETTINGS_WORDS } from "../model/sampler.ts";
import type { ExecutorState } from "../model/executor.ts";

/** A row of a company's state, and what brings a sequence there and back. */
export interface Seat extends Disposable {
  readonly company: WebGpuState;
  readonly row: number;
  /** Copies the sequence's state into the row. */
  readonly enter: Program;
  /** And the row back. */
  readonly leave: Program;
}

/** A program for pieces of a length, and its place among those of its kind. */
export interface KeptProgram {
  readonly program: Program;
  readonly slot: number;
}

/** What the executor on WebGPU makes for the sequences of one session or batch. */
export class WebGpuState implements ExecutorState {
  readonly batch: number;
  readonly parts: State;
  readonly settings: Tensor;
  /** The same on the host, where a sampler was set. */
  settingsWords: Uint32Array<ArrayBuffer> | undefined;
  readonly chunkPrograms: Map<string, KeptProgram> = new Map();
  /** Where the params of these lie, by their kind. */
  readonly uniforms: Map<string, GPUBuffer> = new Map();
  stepProgram: Program | undefined;
  sampleProgram: Program | undefined;
  /** The first piece of the next burst, encoded while the GPU worked on this one. */
  prepared: { readonly length: number; readonly commands: GPUCommandBuffer } | undefined;
  /** Where it sat last among other sequences: see company.ts. */
  seat: Seat | undefined;
  /** Draws made so far by sequence 0, as the device counts them. */
  draws = 0;
  #staging: Staging | undefined;
  readonly #gpu: Gpu;

  /** @param place Where the state itself lies; default a buffer of its own. */
  constructor(gpu: Gpu, config: ModelConfig, batch: number, place?: Tensor) {
    this.#gpu = gpu;
    this.batch = batch;
    this.parts = createState(gpu, config, batch, place);
    this.settings = createTensor(gpu, "settings", [batch * SETTINGS_WORDS]);
  }

  /** Sets how its sequences draw. */
  setSampler(settings: SamplerSettings): void {
    this.settingsWords = encodeSettings(settings, this.batch);
    this.settings.write(this.settingsWords);
  }

  /** A staging buffer of at least that size, kept for the next time. */
  async staging(sizeBytes: number): Promise<Staging> {
    if (this.#staging === undefined || this.#staging.buffer.size < sizeBytes) {
      this.#staging?.[Symbol.dispose]();
      this.#staging = await Staging.create(this.#gpu, sizeBytes);
    }
    return this.#staging;
  }

  [Symbol.dispose](): void {
    this.parts[Symbol.dispose]();
    this.settings[Symbol.dispose]();
    this.stepProgram?.[Symbol.dispose]();
    this.sampleProgram?.[Symbol.dispose]();
    this.seat?.[Symbol.dispose]();
    this.seat = undefined;
    for (const { program } of this.chunkPrograms.values()) program[Symbol.dispose]();
    this.chunkPrograms.clear();
    for (const buffer of this.uniforms.values()) destroyUniforms(this.#gpu, buffer);
    this.uniforms.clear();
    this.#staging?.[Symbol.dispose]();
    this.#staging = undefined;
  }
}

/**
 * The state as this executor made it.
 *
 * @throws {TypeError} If another executor made it.
 */
export function asOurs(state: ExecutorState): WebGpuState {
  if (!(state instanceof WebGpuState)) {
    throw new TypeError("Cannot use a state of another executor");
  }
  return state;
}

/**
 * What copies all of one state to another.
 *
 * @throws {RangeError} If they are of different batches.
 */
export function stateCopy(from: WebGpuState, to: WebGpuState): Copy {
  if (from.batch !== to.batch) {
    throw new RangeError(`Cannot copy a state of ${from.batch} sequences to one of ${to.batch}`);
  }
  return { from: from.parts.buffer, to: to.parts.buffer, sizeBytes: from.parts.buffer.sizeBytes };
}
