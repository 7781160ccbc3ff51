/** Batches of one shape, as a function of a position that is plain JSON: what resuming and repeating need. */

import { foldIn, permutation, permutedAt, randomKey } from "../model/random.ts";
import { IGNORED, type TrainingBatch } from "../model/training_executor.ts";

/** Where a source stands. `{ epoch: 0, index: 0 }` is the start; plain JSON, so that a checkpoint can hold it. */
export interface Position {
  /** How often all of the data was gone through. */
  readonly epoch: number;
  /** How far this epoch is: examples, or windows of a lane where the state is carried. */
  readonly index: number;
}

/** The start of any source. */
export const START: Position = { epoch: 0, index: 0 };

/** Inputs and targets of one step, always in the source's one shape. */
export interface Batch extends TrainingBatch {
  /** Where the batch after this one begins. */
  readonly next: Position;
}

/** A stream of batches. It keeps nothing that its position does not say: the same position gives the same batch. */
export interface Source {
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Steps of a sequence. */
  readonly seqlen: number;
  /** Batches that go through all of the data once; not a whole number where batches reach over the end of an epoch. */
  readonly batchesPerEpoch: number;
  /** The batch at a position: `START`, or the `next` of another batch. */
  batch(position: Position): Batch;
}

/** One example of one epoch: what is drawn at random about it depends on both. */
export interface Draw {
  /** From 0 to the number of examples - 1. */
  readonly example: number;
  /** Counted from 0. */
  readonly epoch: number;
}

/** Examples in any order, such as images or windows of a text. */
export interface Examples {
  /** How many there are; at least 1. */
  readonly count: number;
  /** Steps of each. */
  readonly seqlen: number;
  /** Inputs and targets of these examples, back to back. */
  read(draws: readonly Draw[]): Pick<Batch, "inputs" | "targets">;
}

/** An order of more examples than this is computed as it is needed: to shuffle them would take memory and time. */
const MOST_SHUFFLED = 2 ** 22;

/**
 * Training batches: all examples in a new random order each epoch.
 *
 * A batch that reaches the end of an epoch is filled from the next epoch's order: every example is used once an epoch,
 * and a set smaller than a batch is enough.
 *
 * @param examples What to shuffle.
 * @param options Sequences of a batch, and the seed of the order.
 * @throws {RangeError} If there are no examples, or the batch size is not a whole number from 1.
 */
export function shuffledSource(
  examples: Examples,
  { batchSize, seed }: { readonly batchSize: number; readonly seed: number },
): Source {
  checkSize(examples, batchSize);
  const key = randomKey(seed, "order of examples");
  let order: { readonly epoch: number; readonly ids: Uint32Array } | undefined;
  const idAt = (epoch: number, index: number): number => {
    if (examples.count > MOST_SHUFFLED) {
      return permutedAt(foldIn(key, epoch), examples.count, index);
    }
    if (order?.epoch !== epoch) {
      order = { epoch, ids: permutation(foldIn(key, epoch), examples.count) };
    }
    return order.ids[index] ?? 0;
  };
  return {
    batchSize,
    seqlen: examples.seqlen,
    batchesPerEpoch: examples.count / batchSize,
    batch(position) {
      let { epoch, index } = checkPosition(position, examples.count);
      const draws: Draw[] = [];
      while (draws.length < batchSize) {
        draws.push({ example: idAt(epoch, index), epoch });
        if (++index === examples.count) [epoch, index] = [epoch + 1, 0];
      }
      return makeBatch(examples, draws, { batchSize, next: { epoch, index } });
    },
  };
}

/**
 * Evaluation batches: all examples once, in their own order.
 *
 * Where the last batch has places left over, they repeat its last example with targets `IGNORED`: every example counts
 * exactly once. `next.epoch` is 1 after the last batch.
 *
 * @param examples What to go through.
 * @param options Sequences of a batch.
 * @throws {RangeError} If there are no examples, or the batch size is not a whole number from 1.
 */
export function orderedSource(
  examples: Examples,
  { batchSize }: { readonly batchSize: number },
): Source {
  checkSize(examples, batchSize);
  const { count } = examples;
  return {
    batchSize,
    seqlen: examples.seqlen,
    batchesPerEpoch: Math.ceil(count / batchSize),
    batch(position) {
      const { epoch, index } = checkPosition(position, count);
      const end = index + batchSize;
      const draws = Array.from(
        { length: batchSize },
        (_, slot) => ({ example: Math.min(index + slot, count - 1), epoch: 0 }),
      );
      const next = end >= count ? { epoch: epoch + 1, index: 0 } : { epoch, index: end };
      return makeBatch(examples, draws, { batchSize, used: count - index, next });
    },
  };
}

function makeBatch(
  examples: Examples,
  draws: readonly Draw[],
  { batchSize, used = batchSize, next }: { batchSize: number; used?: number; next: Position },
): Batch {
  const { inputs, targets } = examples.read(draws);
  if (used < batchSize) targets.fill(IGNORED, used * targets.length / batchSize);
  const { seqlen } = examples;
  return {
    inputs,
    targets,
    batch: batchSize,
    seqlen,
    targetCount: countTargets(targets),
    continues: false,
    next,
  };
}

/** Targets that count. */
export function countTargets(targets: Uint32Array): number {
  return targets.reduce((count, target) => count + (target === IGNORED ? 0 : 1), 0);
}

function checkSize({ count }: Examples, batchSize: number): void {
  if (count < 1) throw new RangeError("Cannot make batches: there are no examples");
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(
      `Cannot make batches of ${batchSize} sequences: expected a whole number from 1`,
    );
  }
}

/**
 * Refuses a position that is not inside an epoch of `count`.
 *
 * @throws {RangeError} If it is not, such as one that was saved with other data.
 */
export function checkPosition(position: Position, count: number): Position {
  const { epoch, index } = position;
  if (
    !Number.isSafeInteger(epoch) || epoch < 0 || !Number.isSafeInteger(index) || index < 0 ||
    index >= count
  ) {
    throw new RangeError(
      `Cannot go to position ${index} of epoch ${epoch}: an epoch has ${count}. ` +
        "Was it saved with other data or another batch size?",
    );
  }
  return position;
}
