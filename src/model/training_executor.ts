/** The one seam between training and what does it: an executor that holds parameters and makes steps. */

import type { ModelConfig } from "./config/config.ts";
import type { Backend } from "./executor.ts";

/** How parameters follow their gradients: torch.optim.AdamW's settings. */
export interface OptimiserSettings {
  /** Decay of the gradient's average. */
  readonly beta1: number;
  /** Decay of its square's average. */
  readonly beta2: number;
  /** Added to the root of the square's average. */
  readonly eps: number;
  /** Decoupled; for matrices and convolutions only. */
  readonly weightDecay: number;
  /** The gradient's global norm is clipped at this; Infinity for no clipping. */
  readonly maxNorm: number;
}

/** How a model is trained. */
export interface TrainingSettings extends OptimiserSettings {
  /**
   * Share of the embedding and of each block's output that is dropped in training, by a generator with this seed.
   *
   * @default {none}
   */
  readonly dropout?: { readonly probability: number; readonly seed: number } | undefined;
  /**
   * Share of each target that is spread over all classes in training: label smoothing. A step's loss has it, too.
   *
   * @default {0}
   */
  readonly labelSmoothing?: number | undefined;
  /**
   * Sequences of each batch that go on where those of the batch before ended, wherever a batch `continues`: their states
   * are carried over, in evaluation too.
   *
   * @default {none} All sequences begin with a state of zeros.
   */
  readonly carriedSequences?: number | undefined;
}

/** Size of a batch. */
export interface BatchShape {
  /** Sequences. */
  readonly batch: number;
  /** Steps of each sequence. */
  readonly seqlen: number;
}

/** Inputs and targets of a pass. */
export interface TrainingBatch extends BatchShape {
  /** Ids (batch, seqlen), or vectors (batch, seqlen, d_input). */
  readonly inputs: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
  /** What to predict at each step, (batch, seqlen), or the class of each sequence, (batch). `IGNORED` where nothing is. */
  readonly targets: Uint32Array<ArrayBuffer>;
  /** Targets that are not `IGNORED`: what a mean over the batch divides by. */
  readonly targetCount: number;
  /** Whether lane b goes on where lane b of the batch before ended: the state is carried over. */
  readonly continues: boolean;
}

/** A target that counts for nothing: -1 as the loss reads it. */
export const IGNORED = 0xffffffff;

/** Values by official tensor name, without padding. */
export type NamedValues = ReadonlyMap<string, Float32Array>;

/** What there is of every parameter: its value, its gradient of the latest step, and AdamW's averages of both orders. */
export type ParameterSetName = "values" | "gradients" | "m" | "v";

/** What a step leaves to be read. */
export interface StepNumbers {
  /** The cross-entropy of each target, by batch. */
  readonly losses: readonly Float32Array[];
  /** Global norm of the gradient, before clipping. */
  readonly norm: number;
  /** The first parameter whose gradient's norm is not finite, where there is one. */
  readonly culprit: string | undefined;
}

/**
 * Trains the parameters of one model.
 *
 * Everything is f32, and every sum has a fixed order: the same parameters and batches give the same bits on the same
 * executor and device, and other bits on another.
 *
 * Parameters and moments are zeros at first. What is read waits for the steps that were submitted before.
 */
export interface TrainingExecutor extends Disposable {
  /** Which executor it is. */
  readonly backend: Backend;
  /** The device, in words. */
  readonly device: string;
  /** What a user should know of the device, where there is something. */
  readonly deviceNote: string | undefined;
  /** The model that it trains. */
  readonly config: ModelConfig;
  /** Bytes of the device's memory that are held now. */
  readonly deviceBytes: number;
  /** Batches that may be submitted before results are read: where reading stops the device, several share the pause. */
  readonly maxInFlight: number;
  /**
   * Makes what a step on batches of this shape needs.
   *
   * @throws {RangeError} If it is more than the device has.
   */
  prepare(shape: BatchShape): void;
  /**
   * About how long forward and backward of such a batch take, in milliseconds; undefined where only the device knows.
   */
  expectedPassMs(shape: BatchShape): number | undefined;
  /**
   * Makes one step, or hands it to the device: forward and backward of each batch, clip, update.
   *
   * The gradient is that of the mean over all targets of all batches. A norm that is not finite leaves the parameters as
   * they were.
   *
   * @param step Its number, from 1, and its learning rate.
   */
  submit(
    batches: readonly TrainingBatch[],
    step: { readonly number: number; readonly learningRate: number },
  ): Promise<void>;
  /** Waits for the steps submitted since the last call, and gives what they left, oldest first. */
  results(): Promise<StepNumbers[]>;
  /** Runs a batch through the model as it is, or hands it to the device; for when the results of all steps were read. */
  evaluate(batch: TrainingBatch): Promise<void>;
  /**
   * Waits for the evaluations since the last call, oldest first.
   *
   * @returns For each the cross-entropy of every target, or a classifier's logits (batch, classes).
   */
  evaluations(): Promise<Float32Array[]>;
  /** Remembers the values, moments and carried states of now, for {@linkcode TrainingExecutor.rewind}. */
  keep(): void;
  /** Goes back to where keep() was called last. */
  rewind(): void;
  /** Reads all of a set. */
  read(set: ParameterSetName): Promise<Map<string, Float32Array>>;
  /**
   * Writes all of a set.
   *
   * @throws {RangeError} If a parameter is missing, or has another size.
   */
  write(set: ParameterSetName, values: NamedValues): void;
  /** Reads the states that are carried on, by name; none where none are. */
  readCarried(): Promise<Map<string, Float32Array>>;
  /**
   * Writes them.
   *
   * @throws {RangeError} If one is missing, or has another size.
   */
  writeCarried(states: NamedValues): void;
}

/**
 * One of the states that are carried on.
 *
 * @throws {RangeError} If it is missing, or has another size.
 */
export function carriedState(states: NamedValues, name: string, size: number): Float32Array {
  const state = states.get(name);
  if (state?.length === size) return state;
  throw new RangeError(
    `Cannot resume: the state "${name}" has ${state?.length ?? "no"} values, expected ${size}`,
  );
}
