/** Training on the CPU: parameters, gradients and moments in the module's memory, and one step after the other. */

import type { ModelConfig } from "../model/config/config.ts";
import { firstNotFinite, packParameters, unpackParameters } from "../model/parameter_layout.ts";
import { keptParts } from "../model/state_layout.ts";
import { passCost } from "../model/training_cost.ts";
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
import type { Platform } from "../passes/platform.ts";
import { Optimiser } from "../passes/training/optimiser.ts";
import { TrainingPrograms } from "../passes/training/programs.ts";
import { defaultThreads } from "./machine/default_threads.ts";
import { describeCpu } from "./machine/describe_cpu.ts";
import { type Cpu, openCpu } from "./machine/module.ts";
import type { CpuProgram } from "./machine/program.ts";
import { type CpuTensor, createCpuTensor } from "./machine/tensor.ts";
import type { CpuKinds } from "./op_set.ts";
import { cpuPlatform } from "./platform.ts";
import { requireTrainable } from "./require_trainable.ts";
import { CpuState } from "./state.ts";

/** What a thread does in a millisecond, as measured on cores of a small cloud machine. */
const COST_PER_MS = 10e6;

/**
 * Opens the CPU to train a model on.
 *
 * @param threads How many work, the caller's among them.
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If the parameters do not fit.
 * @throws {Error} If this runtime has no SIMD for WebAssembly.
 */
export async function openTraining(
  config: ModelConfig,
  settings: TrainingSettings,
  threads: number = defaultThreads(),
): Promise<TrainingExecutor> {
  requireTrainable(config);
  const cpu = await openCpu({ threads });
  try {
    const executor = new CpuTrainingExecutor(cpu, config, settings);
    executor.own(cpu);
    return executor;
  } catch (error) {
    cpu[Symbol.dispose]();
    throw error;
  }
}

/** Trains a model's parameters on the CPU, which is the caller's. */
export class CpuTrainingExecutor implements TrainingExecutor {
  readonly backend = "cpu";
  readonly config: ModelConfig;
  /** Reading stops nothing. */
  readonly maxInFlight: number = 1;
  readonly deviceNote: undefined;
  readonly #cpu: Cpu;
  readonly #settings: TrainingSettings;
  readonly #platform: Platform<CpuKinds>;
  readonly #optimiser: Optimiser<CpuKinds>;
  readonly #draw: CpuTensor;
  readonly #carried: CpuState | undefined;
  readonly #programs: Map<string, TrainingPrograms<CpuKinds>> = new Map();
  #results: StepNumbers[] = [];
  #evaluations: Float32Array[] = [];
  /** Values, moments and states as keep() saw them. */
  #kept: readonly CpuTensor[] | undefined;
  #owned: Disposable | undefined;

  /** Allocates parameters, gradients and moments. */
  constructor(cpu: Cpu, config: ModelConfig, settings: TrainingSettings) {
    this.#cpu = cpu;
    this.config = config;
    this.#settings = settings;
    this.#platform = cpuPlatform(cpu);
    this.#optimiser = new Optimiser(this.#platform, config, settings);
    this.#draw = createCpuTensor(cpu, "dropout_draw", [1]);
    const { carriedSequences } = settings;
    if (carriedSequences !== undefined) this.#carried = new CpuState(cpu, config, carriedSequences);
  }

  /** Takes over what is to be freed with this. */
  own(owned: Disposable): void {
    this.#owned = owned;
  }

  get device(): string {
    return describeCpu(this.#cpu, false);
  }

  get deviceBytes(): number {
    return this.#cpu.memory.live.sizeBytes;
  }

  prepare(shape: BatchShape): void {
    this.#programsFor(shape);
  }

  expectedPassMs(shape: BatchShape): number {
    return passCost(this.config, shape) / (COST_PER_MS * this.#cpu.threads);
  }

  async submit(
    batches: readonly TrainingBatch[],
    { number, learningRate }: { readonly number: number; readonly learningRate: number },
  ): Promise<void> {
    const { clip, partials, layout } = this.#optimiser;
    const targetCount = batches.reduce((total, batch) => total + batch.targetCount, 0);
    const losses: Float32Array[] = [];
    this.#optimiser.schedule(number, learningRate);
    for (const [index, batch] of batches.entries()) {
      // Whoever else waits has a turn: each may take seconds.
      if (index > 0) await new Promise((resolve) => setTimeout(resolve));
      const part = { isFirst: index === 0, isLast: index === batches.length - 1 };
      const programs = this.#programsFor(batch);
      this.#draw.write(new Uint32Array([(number - 1) * batches.length + index]));
      programs.feed(batch);
      if (!batch.continues) this.#carried?.buffer.clear();
      programs.step(targetCount, part).run();
      losses.push(programs.losses.read());
    }
    const [, norm = NaN] = clip.read();
    const culprit = Number.isFinite(norm) ? undefined : firstNotFinite(layout, partials.read());
    this.#results.push({ losses, norm, culprit });
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async results(): Promise<StepNumbers[]> {
    return this.#results.splice(0);
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async evaluate(batch: TrainingBatch): Promise<void> {
    const programs = this.#programsFor(batch);
    programs.feed(batch);
    programs.evaluation(batch).run();
    this.#evaluations.push(programs.evaluated.read());
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async evaluations(): Promise<Float32Array[]> {
    return this.#evaluations.splice(0);
  }

  /** The program of a step on such a batch: for benchmarks. */
  stepProgramOf(batch: TrainingBatch): CpuProgram {
    return this.#programsFor(batch).step(batch.targetCount, { isFirst: true, isLast: true });
  }

  keep(): void {
    this.#kept ??= this.#moving().map(({ shape }) => createCpuTensor(this.#cpu, "kept", shape));
    copyAll(this.#moving(), this.#kept);
  }

  rewind(): void {
    if (this.#kept === undefined) throw new Error("Cannot rewind: nothing was kept");
    copyAll(this.#kept, this.#moving());
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async read(set: ParameterSetName): Promise<Map<string, Float32Array>> {
    const { layout, [set]: { flat } } = this.#optimiser;
    return unpackParameters(layout, flat.read());
  }

  write(set: ParameterSetName, values: NamedValues): void {
    const { layout, [set]: { flat } } = this.#optimiser;
    flat.write(packParameters(layout, values));
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async readCarried(): Promise<Map<string, Float32Array>> {
    return new Map([...this.#carriedParts()].map(([name, tensor]) => [name, tensor.read()]));
  }

  writeCarried(states: NamedValues): void {
    for (const [name, tensor] of this.#carriedParts()) {
      tensor.write(carriedState(states, name, tensor.size));
    }
  }

  [Symbol.dispose](): void {
    for (const programs of this.#programs.values()) programs[Symbol.dispose]();
    this.#programs.clear();
    for (const owned of [this.#optimiser, this.#draw, this.#carried, ...this.#kept ?? []]) {
      owned?.[Symbol.dispose]();
    }
    this.#kept = undefined;
    this.#owned?.[Symbol.dispose]();
    this.#owned = undefined;
  }

  /** What the blocks carry, by name. */
  #carriedParts(): Map<string, CpuTensor> {
    const state = this.#carried;
    if (state === undefined) return new Map();
    const parts = keptParts(state.layout).filter(({ name }) => name.startsWith("layers."));
    return new Map(parts.map(({ name }) => [name, state.part(name)]));
  }

  #programsFor({ batch, seqlen }: BatchShape): TrainingPrograms<CpuKinds> {
    const key = `${batch} ${seqlen}`;
    let programs = this.#programs.get(key);
    if (programs === undefined) {
      const { dropout, labelSmoothing = 0 } = this.#settings;
      programs = new TrainingPrograms(this.#platform, this.config, { batch, seqlen }, {
        optimiser: this.#optimiser,
        dropout: dropout && { ...dropout, draw: this.#draw },
        smoothing: labelSmoothing,
        carried: this.#carried,
        createState: (batch) => new CpuState(this.#cpu, this.config, batch),
      });
      this.#programs.set(key, programs);
    }
    return programs;
  }

  /** All that a step changes and the next one builds on. */
  #moving(): CpuTensor[] {
    const { values, m, v } = this.#optimiser;
    const tensors = [values, m, v].map(({ flat }) => flat);
    return this.#carried === undefined ? tensors : [...tensors, this.#carried.buffer];
  }
}

function copyAll(sources: readonly CpuTensor[], targets: readonly CpuTensor[]): void {
  for (const [index, source] of sources.entries()) targets[index]?.copyFrom(source);
}
