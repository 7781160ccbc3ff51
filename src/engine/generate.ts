/** Generation: bursts of draws, turned into a stream of tokens and text. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import type { Draws } from "../model/executor.ts";
import type { SamplingOptions } from "./sampling.ts";
import type { Snapshot } from "./snapshot.ts";

/** Options of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /**
   * The most tokens to draw; Infinity goes on until something else ends it.
   *
   * @default {256}
   */
  readonly maxTokens?: number | undefined;
  /** Ends before any of these texts; needs a tokenizer. The tokens that make it up are drawn, their text is not given. */
  readonly stop?: readonly string[] | undefined;
  /** Ends after any of these ids, beside the model's own end-of-sequence ids. */
  readonly stopIds?: readonly number[] | undefined;
  /** Ends generation with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Tokens after which a snapshot is taken, again and again, while it goes on.
   *
   * @default {Infinity}
   */
  readonly snapshotEvery?: number | undefined;
  /** Gets these snapshots: each is behind the tokens that were handed out before. It is awaited. */
  readonly onSnapshot?: ((snapshot: Snapshot) => Promise<void> | void) | undefined;
}

/** One token. */
export interface GeneratedToken {
  /** Its id. */
  readonly id: number;
  /** The text that it completes: empty in the middle of a character, for a token that ends the text, and without a tokenizer. */
  readonly text: string;
  /** Natural logarithm of its probability under the model, whatever the sampling settings. */
  readonly logprob: number;
  /** Inputs before it: the place it takes in the stream. */
  readonly position: number;
}

/** What generation needs of a session. */
export interface TokenSource {
  readonly eosTokenIds: readonly number[];
  readonly maxDraws: number;
  readonly tokenizer: Tokenizer | undefined;
  /** The place that the next token takes. */
  position(): number;
  /** Draws so many tokens, or fewer: at least one. */
  draw(steps: number): Promise<Draws>;
  /** Settles the session behind the first `count` tokens of a burst. */
  keep(draws: Draws, count: number): Promise<void>;
  /** The session as a value; between two bursts. */
  snapshot(): Promise<Snapshot>;
}

/** Draws tokens until a limit or a stop; see `Session.generate`. */
export async function* generateTokens(
  source: TokenSource,
  options: GenerateOptions,
): AsyncGenerator<GeneratedToken> {
  const { maxTokens = 256, signal, snapshotEvery = Infinity, onSnapshot } = options;
  if (maxTokens !== Infinity && (!Number.isInteger(maxTokens) || maxTokens < 0)) {
    throw new RangeError(
      `Cannot generate: maxTokens is ${maxTokens}, and it must be a whole number, or Infinity`,
    );
  }
  if (snapshotEvery !== Infinity && (!Number.isInteger(snapshotEvery) || snapshotEvery < 1)) {
    throw new RangeError(
      `Cannot generate: snapshotEvery is ${snapshotEvery}, and it must be a whole number from 1, or Infinity`,
    );
  }
  const stopIds = new Set([...source.eosTokenIds, ...options.stopIds ?? []]);
  const text = new StopText(source.tokenizer, options.stop ?? []);
  let burst = 1, untilSnapshot = snapshotEvery;
  for (let left = maxTokens; left > 0;) {
    signal?.throwIfAborted();
    const draws = await source.draw(Math.min(burst, left, untilSnapshot));
    // By doubling: the first token comes soon, and what is given back at a stop is no more than what was handed out.
    burst = Math.max(1, Math.min(draws.ids.length * 2, source.maxDraws));
    const first = source.position();
    let count = 0;
    let ended = false;
    try {
      for (const [index, id] of draws.ids.entries()) {
        // What an abort or a stop finds in the middle of a burst was computed, and is given back in finally.
        signal?.throwIfAborted();
        const isStop = stopIds.has(id);
        const isLast = isStop || left === 1;
        const piece = isStop ? text.end() : text.push(id, isLast);
        ended = isStop || text.stopped;
        count += 1;
        left -= 1;
        yield { id, text: piece, logprob: draws.logprobs[index] ?? NaN, position: first + index };
        if (ended) break;
      }
    } finally {
      await source.keep(draws, count);
    }
    if (ended) return;
    untilSnapshot -= count;
    if (untilSnapshot > 0) continue;
    untilSnapshot = snapshotEvery;
    await onSnapshot?.(await source.snapshot());
  }
}

/** Text of a stream of tokens, held back where it may turn out to be a stop text. */
class StopText {
  /** Whether a stop text has come. */
  stopped = false;
  readonly #stream: ReturnType<Tokenizer["stream"]> | undefined;
  readonly #stops: readonly string[];
  #held = "";

  constructor(tokenizer: Tokenizer | undefined, stops: readonly string[]) {
    if (stops.length > 0 && tokenizer === undefined) {
      throw new TypeError("Cannot stop at a text: the model has no tokenizer");
    }
    if (stops.includes("")) throw new TypeError("Cannot stop at a text: it is empty");
    this.#stream = tokenizer?.stream({ continues: true });
    this.#stops = stops;
  }

  /** The text that may be shown after one more token; after the last one, all of it. */
  push(id: number, isLast: boolean): string {
    if (this.#stream === undefined) return "";
    this.#held += this.#stream.push(id) + (isLast ? this.#stream.flush() : "");
    for (const stop of this.#stops) {
      const place = this.#held.indexOf(stop);
      if (place >= 0) {
        this.stopped = true;
        this.#held = this.#held.slice(0, place);
      }
    }
    const keep = this.stopped || isLast ? 0 : this.#possibleStart();
    const shown = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return shown;
  }

  /** What is still held back when the stream ends without another token's text. */
  end(): string {
    const shown = this.#held + (this.#stream?.flush() ?? "");
    this.#held = "";
    return shown;
  }

  /** Length of the longest end of the held text that a stop text starts with. */
  #possibleStart(): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length;
      }
    }
    return longest;
  }
}
