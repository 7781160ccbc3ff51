/** Scoring: how expected each token of a text or a stream was. */

import type { Session } from "./session.ts";

/** Token ids in a list. */
export type TokenIds = readonly number[] | Uint32Array;

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

/** Options of `score`. */
export interface ScoreOptions {
  /**
   * Inputs after which everything before is forgotten: each token is then foreseen from at most this many, as a model is
   * validated that was trained on windows of this length.
   *
   * @default {Infinity}
   */
  readonly window?: number | undefined;
  /** Ends the call with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Ids of a list are fed this many at a time, so that a stream of scores starts soon. */
const PIECE = 1024;

/** Ids one by one, or some at a time, as a source gives them. */
export type IdStream = AsyncIterable<number | TokenIds>;

/**
 * Scores ids in constant memory, however many come: see {@linkcode scorePieces}.
 *
 * @throws {RangeError} If the window is not a whole number from 1.
 */
export async function* scoreTokens(
  session: Session,
  ids: TokenIds | IdStream,
  options: ScoreOptions = {},
): AsyncGenerator<TokenScore, void> {
  for await (const scored of scorePieces(session, ids, options)) yield* tokenScores(scored);
}

/** Ids and how expected they were: in lists, as objects for each would be most of what a long stream leaves to be collected. */
export interface ScoredIds {
  /** The tokens. */
  readonly ids: TokenIds;
  /** Three figures a token: log-probability, rank, entropy; NaN for the first input of a session. */
  readonly figures: Float32Array;
}

/** The scores of ids, one by one. */
export function* tokenScores({ ids, figures }: ScoredIds): Generator<TokenScore, void> {
  for (let index = 0; index < ids.length; index++) {
    const { [3 * index]: logprob = NaN, [3 * index + 1]: rank = NaN } = figures;
    yield { id: ids[index] ?? 0, logprob, rank, entropy: figures[3 * index + 2] ?? NaN };
  }
}

/**
 * Scores ids some at a time: after each list the session is behind the last of its ids.
 *
 * A list is fed in large pieces; what a stream yields is scored at once, whether it is an id or a list of them.
 *
 * @param session A session without inputs, or one that goes on.
 * @throws {RangeError} If the window is not a whole number from 1.
 */
export async function* scorePieces(
  session: Session,
  ids: TokenIds | IdStream,
  { window = Infinity, signal }: ScoreOptions = {},
): AsyncGenerator<ScoredIds, void> {
  if (window !== Infinity && (!Number.isSafeInteger(window) || window < 1)) {
    throw new RangeError(
      `Cannot score in windows of ${window} inputs: expected a whole number from 1`,
    );
  }
  let position = 0;
  for await (const list of Symbol.asyncIterator in ids ? ids : [ids]) {
    for (const piece of pieces(typeof list === "number" ? [list] : list, window, position)) {
      const isFirst = session.position === 0;
      const figures = await session.score(piece, { signal });
      position += piece.length;
      if (session.position > window) {
        // The last id of a window was foreseen from it, and is the first input of the next.
        session.reset();
        await session.prefill(piece.slice(-1), { logits: "none", signal });
      }
      const start = position - piece.length;
      for (let i = isFirst ? 1 : 0; i < piece.length; i++) {
        requireScore(figures[3 * i] ?? NaN, isFirst ? i : start + i);
      }
      yield { ids: piece, figures };
    }
  }
}

/**
 * Pieces that end where windows do, after `before` ids. The id after a window's inputs belongs to it: it is foreseen from
 * them.
 */
function* pieces(ids: TokenIds, window: number, before: number): Generator<TokenIds> {
  for (let start = 0; start < ids.length;) {
    const windows = 1 + Math.floor(Math.max(before + start - 1, 0) / window);
    const end = Math.min(start + PIECE, windows * window + 1 - before);
    yield ids.slice(start, end);
    start = end;
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
