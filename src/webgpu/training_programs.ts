/** Activations for batches of one shape, and the programs over them. */

import type { Gpu } from "../gpu/device.ts";
import { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { BatchShape, TrainingBatch } from "../model/training_executor.ts";
import type { Dropout } from "./forward.ts";
import type { Optimiser, Part } from "./optimiser.ts";
import { createState, type State } from "./state.ts";
import { createTrainingActivations, type TrainingActivations } from "./training_activations.ts";
import { recordBackward, recordLoss, recordTrainingForward } from "./training_pass.ts";

/** Trains and evaluates on batches of one shape. */
export class TrainingPrograms implements Disposable {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #activations: TrainingActivations;
  readonly #optimiser: Optimiser;
  readonly #dropout: Dropout | undefined;
  readonly #smoothing: number;
  readonly #carried: State | undefined;
  /** The state that evaluations carry: apart from training's. */
  #evaluated: State | undefined;
  readonly #programs: Map<string, Program> = new Map();

  /**
   * Allocates the activations.
   *
   * @param shared What passes of all shapes work on. `smoothing` is the share of a target that is spread over
   * all classes in training, and `carried` the state that training carries on, if it does.
   */
  constructor(
    gpu: Gpu,
    config: ModelConfig,
    shape: BatchShape,
    { optimiser, dropout, smoothing, carried }: {
      readonly optimiser: Optimiser;
      readonly dropout: Dropout | undefined;
      readonly smoothing: number;
      readonly carried: State | undefined;
    },
  ) {
    this.#gpu = gpu;
    this.#config = config;
    this.#activations = createTrainingActivations(gpu, config, shape);
    this.#optimiser = optimiser;
    this.#dropout = dropout;
    this.#smoothing = smoothing;
    this.#carried = carried;
  }

  /** The loss of each target of the latest batch. */
  get losses(): Tensor {
    return this.#activations.losses;
  }

  /** What an evaluation's result is made from: the losses, or a classifier's logits. */
  get evaluated(): Tensor {
    return this.#config.head.kind === "lm" ? this.#activations.losses : this.#activations.logits;
  }

  /** Sets the batch for programs submitted later. */
  feed({ inputs, targets }: TrainingBatch): void {
    this.#activations.inputs.write(inputs);
    this.#activations.targets.write(targets);
  }

  /**
   * Forward, loss, backward, and what the optimiser adds.
   *
   * @param targetCount Targets that are not ignored, of all batches of the step: gradients are those of their mean.
   */
  step(targetCount: number, part: Part): Program {
    return this.#program(`step ${targetCount} ${part.isFirst} ${part.isLast}`, (program) => {
      const tensors = {
        weights: this.#optimiser.values.weights,
        gradients: this.#optimiser.gradients.weights,
        activations: this.#activations,
        dropout: this.#dropout,
        carried: this.#carried,
      };
      recordTrainingForward(program, this.#config, tensors);
      recordLoss(program, this.#config, this.#activations, {
        targetCount,
        smoothing: this.#smoothing,
      });
      recordBackward(program, this.#config, tensors);
      this.#optimiser.record(program, part);
    });
  }

  /** Forward; for a language model, the losses too. */
  evaluation({ continues }: TrainingBatch): Program {
    if (this.#carried !== undefined) {
      this.#evaluated ??= createState(this.#gpu, this.#config, this.#activations.shape.batch);
      if (!continues) clearState(this.#evaluated);
    }
    return this.#program("evaluation", (program) => {
      recordTrainingForward(program, this.#config, {
        weights: this.#optimiser.values.weights,
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

  #program(key: string, record: (program: Program) => void): Program {
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = new Program(this.#gpu);
      record(program);
      this.#programs.set(key, program);
    }
    return program;
  }
}

/** Makes a state that of the start, for programs submitted later. */
export function clearState({ buffer }: State): void {
  buffer.write(new Uint8Array(buffer.sizeBytes));
}
