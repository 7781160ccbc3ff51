/** What a session is: one stream through a model, in constant time and memory a step. */

import type { LogitsWanted } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import type { GeneratedToken, GenerateOptions } from "./generate.ts";
import type { Snapshot } from "./snapshot.ts";

/** Inputs: token ids for a model of text, or floats (seqlen, d_input) for one of signals. */
export type Inputs = readonly number[] | Uint32Array | Float32Array;

/** Options of {@linkcode Session.prefill}. */
export interface PrefillOptions {
  /**
   * Which logits to return: none, those of the last input, or (seqlen, n) of all.
   *
   * @default {"last"}
   */
  readonly logits?: LogitsWanted | undefined;
  /** Is told after every piece how many of the inputs are consumed, by the device too. */
  readonly onProgress?: ((inputs: number) => void) | undefined;
  /** Ends the call with the signal's reason; the session is then as before. It is looked at about every 25 ms. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Session.step} and {@linkcode Session.score}. */
export interface FeedOptions {
  /** Ends the call with the signal's reason; the session is then as before. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * One stream of inputs through a model: see `Model.createSession`.
 *
 * The state holds all that came before, in the same bytes for any length. A token that was drawn and not yet consumed is
 * pending: whatever comes next is fed after it.
 *
 * The sessions of a model are served in turn, and those that draw or step at the same time in one call, which changes no
 * bit of what any of them gives; the event loop turns between calls. A session may be disposed at any
 * moment: what is under way on it then rejects with a TypeError, as does what comes later, and no other notices.
 *
 * @example Feeding, drawing, and another stream from the same point
 * ```ts
 * import { loadModel } from "../../mod.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * using session = model.createSession({ temperature: 0.8, seed: 1 });
 * await session.prefill([1, 2, 3]);
 * for await (const { id, logprob } of session.generate({ maxTokens: 3 })) console.log(id, logprob);
 * using branch = session.fork();
 * const logits = await branch.step(4);
 * logits.length; // as many as there are tokens
 * ```
 */
export interface Session extends Disposable {
  /** Inputs consumed so far. */
  readonly position: number;
  /** Bytes of the recurrent state, whatever the position. */
  readonly stateBytes: number;
  /** How tokens are drawn, the seed included. */
  readonly sampler: SamplerSettings;
  /**
   * Feeds inputs, many at a time.
   *
   * @param inputs Token ids, or floats (seqlen, d_input).
   * @returns The logits asked for.
   * @throws {RangeError} If an id is not in the vocabulary.
   * @throws {TypeError} If the inputs are of the wrong kind or empty.
   */
  prefill(inputs: Inputs, options?: PrefillOptions): Promise<Float32Array | undefined>;
  /**
   * Feeds one input.
   *
   * @param input A token id, or the d_input floats of one step.
   * @returns The logits after it.
   */
  step(input: number | Float32Array, options?: FeedOptions): Promise<Float32Array>;
  /**
   * Feeds ids and says how expected each was: log-probability, rank and entropy, three floats an id.
   *
   * Nothing is expected before the first input of a session, so there the first id's figures are NaN.
   */
  score(ids: readonly number[] | Uint32Array, options?: FeedOptions): Promise<Float32Array>;
  /**
   * Draws tokens one after the other, each fed back, until a limit or a stop.
   *
   * Ending early (break, abort, a stop text) leaves the session exactly behind the last token that was handed out.
   *
   * @throws {TypeError} If nothing was fed yet.
   */
  generate(options?: GenerateOptions): AsyncIterable<GeneratedToken>;
  /** The state as a value: see {@linkcode Snapshot}. */
  snapshot(): Promise<Snapshot>;
  /**
   * Goes to the point where a snapshot was taken, in this process or another.
   *
   * @throws {TypeError} If it belongs to another model; the session is then as before.
   * @throws {RangeError} If a value in it is impossible; the session is then as before.
   */
  restore(snapshot: Snapshot): void;
  /**
   * Takes back the last inputs, whether they were fed or drawn: the session is then as if they had never come, and draws
   * again what it drew there.
   *
   * At least the last 64 can be taken back, or as many as the option `rewind` of `createSession` says, of those since the
   * session was opened, reset, restored or forked. It keeps two states for that, not one for each, and what came since;
   * what lies between is computed again when the session is next used. The bits are those of before where inputs were
   * stepped or drawn; of inputs fed many at a time, as close as any other way to cut them.
   *
   * @param n How many; a drawn token that is pending counts as one.
   * @throws {RangeError} If that many are not kept; the session is then as before.
   *
   * @example Trying two endings
   * ```ts
   * import { loadModel } from "../../mod.ts";
   *
   * using model = await loadModel("tests/golden/mamba1");
   * using session = model.createSession();
   * await session.prefill([1, 2, 3]);
   * const before = await session.step(4);
   * session.rewind(1);
   * session.position; // 3
   * const again = await session.step(4); // the same logits
   * before.length === again.length; // true
   * ```
   */
  rewind(n: number): void;
  /** Inputs that {@linkcode Session.rewind} can take back now. */
  readonly rewindable: number;
  /** Bytes of the states that are kept for it: two, made when the first of them is needed. */
  readonly rewindBytes: number;
  /** Another session at the same point, with the same sampler and seed; a copy on the device. */
  fork(): Session;
  /** Back to the state before the first input. The sampler settings and the seed stay. */
  reset(): void;
}
