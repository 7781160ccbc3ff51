/** Activations for batches of one shape, and the programs over them. */

import type { ModelConfig } from "../../model/config/config.ts";
import type { BatchShape, TrainingBatch } from "../../model/training_executor.ts";
import type { Dropout } from "../dropout.ts";
import type { SequenceState } from "../forward.ts";
import type { PassKinds } from "../kinds.ts";
import type { Platform } from "../platform.ts";
import { createTrainingActivations, type TrainingActivations } from "./activations.ts";
import type { Optimiser, Part } from "./optimiser.ts";
import { recordBackward, recordLoss, recordTrainingForward } from "./pass.ts";

/** A state that passes carry on. */
export interface CarriedState<K extends PassKinds> extends Disposable {
  /** What each half of a block carries, by name. */
  readonly halves: SequenceState<K>["halves"];
  /** All of it. */
  readonly buffer: K["tensor"];
}

/** What programs for all shapes work on. */
export interface SharedTensors<K extends PassKinds> {
  readonly optimiser: Optimiser<K>;
  readonly dropout: Dropout<K> | undefined;
  /** Share of a target that is spread over all classes in training. */
  readonly smoothing: number;
  /** The state that training carries on, if it does. */
  readonly carried: CarriedState<K> | undefined;
  /** Makes another, of so many sequences. */
  readonly createState: (batch: number) => CarriedState<K>;
}

/** Trains and evaluates on batches of one shape. */
export class TrainingPrograms<K extends PassKinds> implements Disposable {
  readonly #platform: Platform<K>;
  readonly #config: ModelConfig;
  readonly #activations: TrainingActivations<K>;
  readonly #shared: SharedTensors<K>;
  /** The state that evaluations carry: apart from training's. */
  #evaluated: CarriedState<K> | undefined;
  readonly #programs: Map<string, K["program"]> = new Map();

  /** Allocates the activations. */
  constructor(
    platform: Platform<K>,
    config: ModelConfig,
    shape: BatchShape,
    shared: SharedTensors<K>,
  ) {
    this.#platform = platform;
    this.#config = config;
    this.#shared = shared;
    this.#activations = createTrainingActivations(platform, config, shape);
  }

  /** The loss of each target of the latest batch. */
  get losses(): K["tensor"] {
    return this.#activations.losses;
  }

  /** What an evaluation's result is made from: the losses, or a classifier's logits. */
  get evaluated(): K["tensor"] {
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
  step(targetCount: number, part: Part): K["program"] {
    return this.#program(`step ${targetCount} ${part.isFirst} ${part.isLast}`, (program) => {
      const { optimiser, smoothing, dropout, carried } = this.#shared;
      const tensors = {
        parameters: optimiser.values,
        gradients: optimiser.gradients,
        activations: this.#activations,
        ...{ dropout, carried },
      };
      recordTrainingForward(this.#platform, program, this.#config, tensors);
      recordLoss(this.#platform, program, this.#config, this.#activations, {
        ...{ targetCount, smoothing },
      });
      recordBackward(this.#platform, program, this.#config, tensors);
      optimiser.record(program, part);
    });
  }

  /** Forward; for a language model, the losses too. */
  evaluation({ continues }: TrainingBatch): K["program"] {
    const { optimiser, carried, createState } = this.#shared;
    if (carried !== undefined) {
      this.#evaluated ??= createState(this.#activations.shape.batch);
      if (!continues) clearState(this.#evaluated);
    }
    return this.#program("evaluation", (program) => {
      recordTrainingForward(this.#platform, program, this.#config, {
        parameters: optimiser.values,
        activations: this.#activations,
        carried: this.#evaluated,
      });
      if (this.#config.head.kind === "lm") {
        recordLoss(this.#platform, program, this.#config, this.#activations, { targetCount: 1 });
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

  #program(key: string, record: (program: K["program"]) => void): K["program"] {
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = this.#platform.createProgram();
      record(program);
      this.#programs.set(key, program);
    }
    return program;
  }
}

/** Makes a state that of the start, for programs that run later. */
export function clearState<K extends PassKinds>({ buffer }: CarriedState<K>): void {
  buffer.write(new Uint32Array(buffer.size));
}
