/** What training tells of each of its steps. */

/** What a whole split gave. */
export interface SplitResult {
  /** Mean cross-entropy over all targets, in nats. */
  readonly loss: number;
  /** Share of sequences that a classifier named rightly; undefined for a language model. */
  readonly accuracy: number | undefined;
  /** Batches that it is of, where the split has more. */
  readonly batches?: number | undefined;
}

/** One step of a run. */
export interface TrainingStep {
  /** Steps done, this one included. */
  readonly step: number;
  /** Mean cross-entropy of its batch, in nats, before its update; with label smoothing, that of the smoothed targets. */
  readonly loss: number;
  /** Learning rate that it used. */
  readonly learningRate: number;
  /** Global norm of its gradient, before clipping. */
  readonly gradientNorm: number;
  /** How long it took, in milliseconds: the mean of the few steps that were handed to the device together. */
  readonly stepMs: number;
  /** Steps of all its sequences. */
  readonly tokensPerStep: number;
  /** The validation split, after this step, where it was due. */
  readonly validation: SplitResult | undefined;
  /** The test split, by the model of the best validation loss: after the last step of a task that has one. */
  readonly test: SplitResult | undefined;
}
