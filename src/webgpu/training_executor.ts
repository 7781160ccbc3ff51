/** Training on WebGPU: parameters, gradients and moments in the device's memory, and one step after the other. */

import { findAdapter, type Gpu, openGpu } from "../gpu/device.ts";
import { type Copy, encode, type Program } from "../gpu/program.ts";
import { readFloats } from "../gpu/readback.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { firstNotFinite, packParameters, unpackParameters } from "../model/parameter_layout.ts";
import {
  type BatchShape,
  carriedState,
  type NamedValues,
  type ParameterSetName,
  type StepNumbers,
  type TrainingBatch,
  type TrainingExecutor,
  type TrainingSettings,
} from "../model/training_executor.ts";
import { passCost } from "../model/training_cost.ts";
import type { Platform } from "../passes/platform.ts";
import { Optimiser } from "../passes/training/optimiser.ts";
import { clearState, TrainingPrograms } from "../passes/training/programs.ts";
import { InFlight, MAX_IN_FLIGHT } from "./in_flight.ts";
import type { WebGpuKinds } from "./op_set.ts";
import { webgpuPlatform } from "./platform.ts";
import { requireTrainable } from "./require_trainable.ts";
import { createState, type KeptTensor, keptTensors, type State } from "./state.ts";

/** What a software adapter does in a millisecond, as llvmpipe did on two cores. */
const SOFTWARE_COST_PER_MS = 1e6;

/**
 * Refuses a machine that training cannot be opened on.
 *
 * @throws {UnsupportedDeviceError} If there is no adapter.
 */
export async function requireAdapter(): Promise<void> {
  await findAdapter();
}

/**
 * Opens a device to train a model on.
 *
 * @param device One of the caller's to use instead; it is not destroyed.
 * @throws {UnsupportedDeviceError} If there is no adapter.
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If the parameters do not fit.
 */
export async function openTraining(
  config: ModelConfig,
  settings: TrainingSettings,
  device?: GPUDevice,
): Promise<TrainingExecutor> {
  const gpu = await openGpu(device);
  try {
    requireTrainable(gpu, config);
    const executor = new WebGpuTrainingExecutor(gpu, config, settings);
    executor.own(gpu);
    return executor;
  } catch (error) {
    gpu[Symbol.dispose]();
    throw error;
  }
}

/** Trains a model's parameters on a device, which is the caller's. */
export class WebGpuTrainingExecutor implements TrainingExecutor {
  readonly backend = "webgpu";
  readonly config: ModelConfig;
  readonly maxInFlight: number = MAX_IN_FLIGHT;
  readonly #gpu: Gpu;
  readonly #settings: TrainingSettings;
  readonly #platform: Platform<WebGpuKinds>;
  readonly #optimiser: Optimiser<WebGpuKinds>;
  readonly #draw: Tensor;
  readonly #carried: State | undefined;
  readonly #programs: Map<string, TrainingPrograms<WebGpuKinds>> = new Map();
  readonly #inFlight: InFlight;
  /** Batches of each step whose results were not read yet. */
  #submitted: number[] = [];
  /** Values, moments and states as keep() saw them. */
  #kept: readonly Tensor[] | undefined;
  #owned: Disposable | undefined;

  /** Allocates parameters, gradients and moments. */
  constructor(gpu: Gpu, config: ModelConfig, settings: TrainingSettings) {
    this.#gpu = gpu;
    this.config = config;
    this.#settings = settings;
    this.#platform = webgpuPlatform(gpu);
    this.#optimiser = new Optimiser(this.#platform, config, settings);
    this.#draw = createTensor(gpu, "dropout_draw", [1]);
    const { carriedSequences } = settings;
    if (carriedSequences !== undefined) this.#carried = createState(gpu, config, carriedSequences);
    this.#inFlight = new InFlight(gpu);
  }

  /** Takes over what is to be freed with this. */
  own(owned: Disposable): void {
    this.#owned = owned;
  }

  get device(): string {
    return this.#gpu.name;
  }

  get deviceNote(): string | undefined {
    return this.#gpu.note;
  }

  get deviceBytes(): number {
    return this.#gpu.live.sizeBytes;
  }

  prepare(shape: BatchShape): void {
    this.#programsFor(shape);
  }

  expectedPassMs(shape: BatchShape): number | undefined {
    return this.#gpu.isSoftware ? passCost(this.config, shape) / SOFTWARE_COST_PER_MS : undefined;
  }

  async submit(
    batches: readonly TrainingBatch[],
    { number, learningRate }: { readonly number: number; readonly learningRate: number },
  ): Promise<void> {
    const { clip, partials } = this.#optimiser;
    const targetCount = batches.reduce((total, batch) => total + batch.targetCount, 0);
    this.#optimiser.schedule(number, learningRate);
    for (const [index, batch] of batches.entries()) {
      const part = { isFirst: index === 0, isLast: index === batches.length - 1 };
      const programs = this.#programsFor(batch);
      const after = await this.#inFlight.add(
        part.isLast ? [programs.losses, clip, partials] : [programs.losses],
      );
      this.#draw.write(new Uint32Array([(number - 1) * batches.length + index]));
      programs.feed(batch);
      if (this.#carried && !batch.continues) clearState(this.#carried);
      this.#run([programs.step(targetCount, part)], after);
    }
    this.#submitted.push(batches.length);
  }

  async results(): Promise<StepNumbers[]> {
    const values = await this.#inFlight.take();
    return this.#submitted.splice(0).map((count): StepNumbers => {
      const parts = values.splice(0, count);
      const [, [, norm = NaN] = [], partials = new Float32Array()] = parts.at(-1) ?? [];
      return {
        losses: parts.flatMap(([losses]) => losses ?? []),
        norm,
        culprit: Number.isFinite(norm)
          ? undefined
          : firstNotFinite(this.#optimiser.layout, partials),
      };
    });
  }

  async evaluate(batch: TrainingBatch): Promise<void> {
    const programs = this.#programsFor(batch);
    const after = await this.#inFlight.add([programs.evaluated]);
    programs.feed(batch);
    this.#run([programs.evaluation(batch)], after);
  }

  async evaluations(): Promise<Float32Array[]> {
    const values = await this.#inFlight.take();
    return values.flatMap(([found]) => found ?? []);
  }

  keep(): void {
    this.#kept ??= this.#moving().map(({ size }) => createTensor(this.#gpu, "kept", [size]));
    this.#run([], copies(this.#moving(), this.#kept));
  }

  rewind(): void {
    if (this.#kept === undefined) throw new Error("Cannot rewind: nothing was kept");
    this.#run([], copies(this.#kept, this.#moving()));
  }

  /** The program of a whole step over batches of this shape: what benchmarks time. */
  stepProgramOf(batch: TrainingBatch): Program {
    return this.#programsFor(batch).step(batch.targetCount, { isFirst: true, isLast: true });
  }

  async read(set: ParameterSetName): Promise<Map<string, Float32Array>> {
    const { layout, [set]: { flat } } = this.#optimiser;
    return unpackParameters(layout, await readFloats(this.#gpu, flat));
  }

  write(set: ParameterSetName, values: NamedValues): void {
    const { layout, [set]: { flat } } = this.#optimiser;
    flat.write(packParameters(layout, values));
  }

  async readCarried(): Promise<Map<string, Float32Array>> {
    const states = new Map<string, Float32Array>();
    for (const { name, tensor } of this.#carriedParts()) {
      states.set(name, await readFloats(this.#gpu, tensor));
    }
    return states;
  }

  writeCarried(states: NamedValues): void {
    for (const { name, tensor } of this.#carriedParts()) {
      tensor.write(carriedState(states, name, tensor.size));
    }
  }

  [Symbol.dispose](): void {
    for (const programs of this.#programs.values()) programs[Symbol.dispose]();
    this.#programs.clear();
    const kept = this.#kept ?? [];
    for (const owned of [this.#optimiser, this.#draw, this.#inFlight, this.#carried, ...kept]) {
      owned?.[Symbol.dispose]();
    }
    this.#kept = undefined;
    this.#owned?.[Symbol.dispose]();
    this.#owned = undefined;
  }

  #carriedParts(): KeptTensor[] {
    if (this.#carried === undefined) return [];
    return keptTensors(this.#carried).filter(({ name }) => name.startsWith("layers."));
  }

  #programsFor({ batch, seqlen }: BatchShape): TrainingPrograms<WebGpuKinds> {
    const key = `${batch} ${seqlen}`;
    let programs = this.#programs.get(key);
    if (programs === undefined) {
      const { dropout, labelSmoothing = 0 } = this.#settings;
      programs = new TrainingPrograms(this.#platform, this.config, { batch, seqlen }, {
        optimiser: this.#optimiser,
        dropout: dropout && { ...dropout, draw: this.#draw },
        smoothing: labelSmoothing,
        carried: this.#carried,
        createState: (batch) => createState(this.#gpu, this.config, batch),
      });
      this.#programs.set(key, programs);
    }
    return programs;
  }

  /** Submits programs, then copies. */
  #run(programs: readonly Program[], after: readonly Copy[]): void {
    this.#gpu.device.queue.submit([encode(this.#gpu, programs, { after })]);
  }

  /** All that a step changes and the next one builds on. */
  #moving(): Tensor[] {
    const { values, m, v } = this.#optimiser;
    const tensors = [values, m, v].map(({ flat }) => flat);
    return this.#carried === undefined ? tensors : [...tensors, this.#carried.buffer];
  }
}

function copies(sources: readonly Tensor[], targets: readonly Tensor[]): Copy[] {
  return sources.flatMap((from, index) => {
    const to = targets[index];
    return to === undefined ? [] : [{ from, to, sizeBytes: from.size * 4 }];
  });
}
