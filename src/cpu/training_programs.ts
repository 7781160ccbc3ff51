/** Activations for batches of one shape, and the programs over them. */

import type { ModelConfig } from "../model/config/config.ts";
import type { BatchShape, TrainingBatch } from "../model/training_executor.ts";
import type { Cpu } from "./module.ts";
import type { Optimiser, Part } from "./optimiser.ts";
import { CpuProgram } from "./program.ts";
import { CpuState } from "./state.ts";
import type { CpuTensor } from "./tensor.ts";
import { createTrainingActivations, type TrainingActivations } from "./training_activations.ts";
import {
  type Dropout,
  recordBackward,
  recordLoss,
  recordTrainingForward,
} from "./training_pass.ts";

/** What programs for all shapes work on. */
export interface SharedTensors {
  readonly optimiser: Optimiser;
  readonly dropout: Dropout | undefined;
  /** Share of a target that is spread over all classes in training. */
  readonly smoothing: number;
  /** The state that training carries on, if it does. */
  readonly carried: CpuState | undefined;
}

/** Trains and evaluates on batches of one shape. */
export class TrainingPrograms implements Disposable {
  readonly #cpu: Cpu;
  readonly #config: ModelConfig;
  readonly #activations: TrainingActivations;
  readonly #shared: SharedTensors;
  /** The state that evaluations carry: apart from training's. */
  #evaluated: CpuState | undefined;
  readonly #programs: Map<string, CpuProgram> = new Map();

  /** Allocates the activations. */
  constructor(cpu: Cpu, config: ModelConfig, shape: BatchShape, shared: SharedTensors) {
    this.#cpu = cpu;
    this.#config = config;
    this.#shared = shared;
    this.#activations = createTrainingActivations(cpu, config, shape);
  }

  /** The loss of each target of the latest batch. */
  get losses(): CpuTensor {
    return this.#activations.losses;
  }

  /** What an evaluation's result is made from: the losses, or a classifier's logits. */
  get evaluated(): CpuTensor {
    return this.#config.head.kind === "lm" ? this.#activations.losses : this.#activations.logits;
  }

  /** Sets the batch for programs that run later. */
  feed({ inputs, targets }: TrainingBatch): void {
    this.#activations.inputs.write(inputs);
    this.#activations.targets.write(targets);
  }

  /**
   * Forward, loss, backward, and what the optimiser adds.
   *
   * @param targetCount Targets that are not ignored, of all batches of the step: gradients are those of their mean.
   */
  step(targetCount: number, part: Part): CpuProgram {
    return this.#program(`step ${targetCount} ${part.isFirst} ${part.isLast}`, (program) => {
      const { optimiser, smoothing, dropout, carried } = this.#shared;
      const tensors = {
        parameters: optimiser.values,
        gradients: optimiser.gradients,
        activations: this.#activations,
        ...{ dropout, carried },
      };
      recordTrainingForward(program, this.#config, tensors);
      recordLoss(program, this.#config, this.#activations, { targetCount, smoothing });
      recordBackward(program, this.#config, tensors);
      optimiser.record(program, part);
    });
  }

  /** Forward; for a language model, the losses too. */
  evaluation({ continues }: TrainingBatch): CpuProgram {
    if (this.#shared.carried !== undefined) {
      this.#evaluated ??= new CpuState(
        this.#cpu,
        this.#config,
        this.#activations.shape.batch,
      );
      if (!continues) this.#evaluated.buffer.clear();
    }
    return this.#program("evaluation", (program) => {
      recordTrainingForward(program, this.#config, {
        parameters: this.#shared.optimiser.values,
        activations: this.#activations,
        carried: this.#evaluated,
      });
      if (this.#config.head.kind === "lm") {
        recordLoss(program, this.#config, this.#activations, { targetCount: 1 });
      }
    });
  }

  /** Frees activations and programs. */
  [Symbol.dispose](): void {
    for (const owned of [...this.#programs.values(), this.#activations, this.#evaluated]) {
      owned?.[Symbol.dispose]();
    }
    this.#programs.clear();
  }

  #program(key: string, record: (program: CpuProgram) => void): CpuProgram {
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = new CpuProgram(this.#cpu);
      record(program);
      this.#programs.set(key, program);
    }
    return program;
  }
}
