/** Scoring: how expected each token of a text or a stream was. */

import type { Session } from "./session.ts";
import { yieldToEventLoop } from "./yield.ts";

/** How expected one token was, given all before it. */
export interface TokenScore {
  /** The token. */
  readonly id: number;
  /** Natural logarithm of its probability; NaN for the first input of a session, which nothing precedes. */
  readonly logprob: number;
  /** How many tokens were likelier: 0 for the model's best guess; NaN for the first. */
  readonly rank: number;
  /** How open the model was, in nats: the mean of -logprob over all tokens; NaN for the first. */
  readonly entropy: number;
}

/** Ids of a list are fed this many at a time, so that a stream of scores starts soon. */
const PIECE = 1024;

/**
 * Scores ids in constant memory, however many come.
 *
 * A list is fed in large pieces; what an async iterable yields is scored at once, id by id.
 */
export async function* scoreTokens(
  session: Session,
  ids: readonly number[] | AsyncIterable<number>,
): AsyncGenerator<TokenScore> {
  if (Symbol.asyncIterator in ids) {
    for await (const id of ids) {
      const { position } = session;
      yield* scored([id], await session.score([id]), position);
      await yieldToEventLoop();
    }
    return;
  }
  for (let start = 0; start < ids.length; start += PIECE) {
    const piece = ids.slice(start, start + PIECE);
    const { position } = session;
    yield* scored(piece, await session.score(piece), position);
    await yieldToEventLoop();
  }
}

/** Joins ids and figures; `position` is that of the first id in the stream. */
function* scored(
  ids: readonly number[],
  figures: Float32Array,
  position: number,
): Generator<TokenScore> {
  for (const [index, id] of ids.entries()) {
    const [logprob = NaN, rank = NaN, entropy = NaN] = figures.subarray(3 * index, 3 * index + 3);
    if (position + index > 0) requireScore(logprob, position + index);
    yield { id, logprob, rank, entropy };
  }
}

/**
 * Refuses what a broken checkpoint gives, rather than handing out a score that is none.
 *
 * @throws {RangeError} If the log-probability is NaN.
 */
export function requireScore(logprob: number, position: number): void {
  if (Number.isNaN(logprob)) {
    throw new RangeError(
      `Cannot score token ${position}: the logits before it are not finite. The weights may be damaged`,
    );
  }
}
