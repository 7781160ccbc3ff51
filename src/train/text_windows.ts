/** Windows of a long sequence of ids, for next-token training: shuffled, or in lanes whose state is carried. */

import type { IdRange } from "../io/datasets/text_file.ts";
import { foldIn, randomAt, type RandomKey, randomKey } from "../model/random.ts";
import { IGNORED } from "../model/training_executor.ts";
import { type Batch, checkPosition, countTargets, type Examples, type Source } from "./batches.ts";

/** Options of the windows. */
export interface WindowOptions {
  /** Steps of a window. */
  readonly seqlen: number;
  /**
   * Moves the windows at random from epoch to epoch, so that no id always stands at a window's start.
   *
   * @default {undefined} Windows begin at id 0 and cover every id: for evaluation.
   */
  readonly seed?: number;
}

/**
 * Cuts ids into windows that do not overlap. Step t of a window predicts the id at step t + 1.
 *
 * Without a seed, the last window may be short: its rest has targets `IGNORED`, so that the ids.length - 1 targets count
 * once each. With a seed, windows are whole, and what is left over lies in other places each epoch.
 *
 * @param ids The sequence.
 * @param options Length, and the seed of the offsets.
 * @throws {RangeError} If there are too few ids for one window, or `seqlen` is not a whole number from 1.
 */
export function textWindows(ids: IdRange, { seqlen, seed }: WindowOptions): Examples {
  checkLength(ids.length, seqlen, seed === undefined ? 2 : seqlen + 1);
  const targets = ids.length - 1;
  const key = seed === undefined ? undefined : randomKey(seed, "offsets of windows");
  const count = key === undefined
    ? Math.ceil(targets / seqlen)
    : Math.max(1, Math.floor((targets - seqlen + 1) / seqlen));
  const slack = Math.min(seqlen - 1, targets - count * seqlen);
  return {
    count,
    seqlen,
    read(draws) {
      const batch = emptyWindows(draws.length, seqlen);
      draws.forEach(({ example, epoch }, slot) => {
        const start = offsetOf(key, epoch, slack) + example * seqlen;
        writeWindow(ids, start, Math.min(start + seqlen, targets), batch, slot * seqlen);
      });
      return batch;
    },
  };
}

/**
 * Cuts ids into `batchSize` long lanes, and goes through all lanes at once, window after window: window n + 1 of a lane
 * follows window n, so that the state can be carried over (truncated backpropagation through time).
 *
 * Without a seed every target counts once: lanes may end in targets `IGNORED`, and `next.epoch` is 1 after the last
 * window. With a seed the lanes begin elsewhere each epoch, in whole windows.
 *
 * @param ids The sequence.
 * @param options Lanes, length of a window, and the seed of the offsets.
 * @throws {RangeError} If there are too few ids for a window of each lane, or a size is not a whole number from 1.
 */
export function laneSource(
  ids: IdRange,
  { batchSize, seqlen, seed }: WindowOptions & { readonly batchSize: number },
): Source {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new RangeError(
      `Cannot cut a text into ${batchSize} lanes: expected a whole number from 1`,
    );
  }
  checkLength(ids.length, seqlen, seed === undefined ? 2 : batchSize * seqlen + 1);
  const targets = ids.length - 1;
  const key = seed === undefined ? undefined : randomKey(seed, "offsets of lanes");
  const windows = key === undefined
    ? Math.ceil(Math.ceil(targets / batchSize) / seqlen)
    : Math.max(1, Math.floor((targets - seqlen + 1) / (batchSize * seqlen)));
  const laneLength = key === undefined ? Math.ceil(targets / batchSize) : windows * seqlen;
  const slack = targets - batchSize * laneLength;
  return {
    batchSize,
    seqlen,
    batchesPerEpoch: windows,
    batch(position): Batch {
      const { epoch, index } = checkPosition(position, windows);
      const batch = emptyWindows(batchSize, seqlen);
      const offset = offsetOf(key, epoch, slack);
      for (let lane = 0; lane < batchSize; lane++) {
        const laneStart = offset + lane * laneLength;
        const start = laneStart + index * seqlen;
        const end = Math.min(start + seqlen, laneStart + laneLength, targets);
        writeWindow(ids, start, end, batch, lane * seqlen);
      }
      return {
        ...batch,
        batch: batchSize,
        seqlen,
        targetCount: countTargets(batch.targets),
        continues: index > 0,
        next: index + 1 < windows ? { epoch, index: index + 1 } : { epoch: epoch + 1, index: 0 },
      };
    },
  };
}

/** A random number from 0 to `slack`, another each epoch. */
function offsetOf(key: RandomKey | undefined, epoch: number, slack: number): number {
  if (key === undefined || slack <= 0) return 0;
  return Math.floor(randomAt(foldIn(key, epoch), 0) * (slack + 1));
}

function emptyWindows(batch: number, seqlen: number) {
  return {
    inputs: new Uint32Array(batch * seqlen),
    targets: new Uint32Array(batch * seqlen).fill(IGNORED),
  };
}

/** Writes the targets after `start` to `end` ids, and the inputs before them. */
function writeWindow(
  ids: IdRange,
  start: number,
  end: number,
  { inputs, targets }: { inputs: Uint32Array; targets: Uint32Array },
  at: number,
): void {
  if (end <= start) return;
  inputs.set(ids.subarray(start, end), at);
  targets.set(ids.subarray(start + 1, end + 1), at);
}

function checkLength(found: number, seqlen: number, needed: number): void {
  if (!Number.isSafeInteger(seqlen) || seqlen < 1) {
    throw new RangeError(`Cannot cut windows of ${seqlen} steps: expected a whole number from 1`);
  }
  if (found < needed) {
    throw new RangeError(
      `Cannot cut a text into windows of ${seqlen} steps: it has ${found} ids, and at least ` +
        `${needed} are needed. Give a longer text, or a smaller seqlen or batch size`,
    );
  }
}
