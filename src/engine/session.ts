/** A session: one stream through a model, in constant time and memory a step. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import {
  type Draws,
  type Executor,
  type ExecutorState,
  type LogitsWanted,
  requireLive,
} from "../model/executor.ts";
import { stateBytes } from "../model/state_layout.ts";
import { type GeneratedToken, type GenerateOptions, generateTokens } from "./generate.ts";
import { defaultSampling, resolveSampling, type SamplingOptions } from "./sampling.ts";
import { checkSnapshot, type ModelIdentity, type Snapshot } from "./snapshot.ts";

/** What a session needs of its model. */
export interface SessionModel extends ModelIdentity {
  /** What runs the model. */
  readonly executor: Executor;
  /** What makes text of ids; without one, tokens come with empty texts. */
  readonly tokenizer: Tokenizer | undefined;
}

/** Inputs: token ids for a model of text, or floats (seqlen, d_input) for one of signals. */
export type Inputs = readonly number[] | Uint32Array | Float32Array;

/**
 * One stream of inputs through a model.
 *
 * The state holds all that came before, in the same bytes for any length. A token that was drawn and not yet consumed is
 * pending: whatever comes next is fed after it.
 */
export class Session implements Disposable {
  readonly #model: SessionModel;
  readonly #state: ExecutorState;
  /** The state before the burst under way: what an early end goes back to. Made when first needed. */
  #before: ExecutorState | undefined;
  #sampler: SamplerSettings;
  #position = 0;
  #draws = 0;
  #pendingToken: number | undefined;
  #hasLogits = false;
  #busy: string | undefined;
  #disposed = false;

  /** Use `model.createSession()`. */
  constructor(model: SessionModel, options: SamplingOptions = {}) {
    this.#model = model;
    requireLive(model.executor, "open a session");
    this.#sampler = resolveSampling(options, defaultSampling());
    this.#state = model.executor.createState(1);
    model.executor.setSampler(this.#state, this.#sampler);
  }

  /** Inputs consumed so far. */
  get position(): number {
    return this.#position;
  }

  /** Bytes of the recurrent state, whatever the position. */
  get stateBytes(): number {
    return stateBytes(this.#model.executor.config);
  }

  /** How tokens are drawn, the seed included. */
  get sampler(): SamplerSettings {
    return this.#sampler;
  }

  /**
   * Feeds inputs, many at a time.
   *
   * @param inputs Token ids, or floats (seqlen, d_input).
   * @param options `logits`: "none", "last" (the default: those of the last input), or "all" (seqlen, n).
   * @returns The logits asked for.
   * @throws {RangeError} If an id is not in the vocabulary.
   * @throws {TypeError} If the inputs are of the wrong kind or empty.
   */
  async prefill(
    inputs: Inputs,
    options: { readonly logits?: LogitsWanted } = {},
  ): Promise<Float32Array | undefined> {
    const { logits: wanted = "last" } = options;
    if (!["none", "last", "all"].includes(wanted)) {
      throw new TypeError(`Cannot prefill: logits is "${wanted}", expected none, last or all`);
    }
    const checked = checkInputs(this.#model.executor, inputs);
    return await this.#exclusively("prefill", async () => {
      await this.#consumePending();
      const logits = await this.#model.executor.forward(
        this.#state,
        checked,
        wanted,
      );
      this.#advance(this.#steps(checked));
      return logits;
    });
  }

  /**
   * Feeds one input.
   *
   * @param input A token id, or the d_input floats of one step.
   * @returns The logits after it.
   */
  async step(input: number | Float32Array): Promise<Float32Array> {
    const { input: kind } = this.#model.executor.config;
    const inputs = typeof input === "number"
      ? (kind.kind === "linear" ? new Float32Array([input]) : [input])
      : input;
    const checked = checkInputs(this.#model.executor, inputs);
    if (this.#steps(checked) !== 1) {
      throw new TypeError(
        `Cannot step: ${this.#steps(checked)} inputs, and a step takes one. Use prefill`,
      );
    }
    return await this.#exclusively("step", async () => {
      await this.#consumePending();
      const logits = await this.#model.executor.forward(this.#state, checked, "last");
      this.#advance(1);
      return logits ?? new Float32Array();
    });
  }

  /**
   * Feeds ids and says how expected each was: log-probability, rank and entropy, three floats an id.
   *
   * Nothing is expected before the first input of a session, so there the first id's figures are NaN.
   */
  async score(ids: readonly number[] | Uint32Array): Promise<Float32Array> {
    const checked = checkInputs(this.#model.executor, ids);
    if (!(checked instanceof Uint32Array)) {
      throw new TypeError("Cannot score: this model has no tokens");
    }
    return await this.#exclusively("score", async () => {
      const { executor } = this.#model;
      await this.#consumePending();
      const scores = new Float32Array(checked.length * 3).fill(NaN);
      if (this.#hasLogits) scores.set(await executor.scoreNext(this.#state, checked[0] ?? 0));
      if (checked.length === 1) {
        await executor.forward(this.#state, checked, "none");
      } else {
        // The last id has nothing after it: any target will do, and its figures are dropped.
        const following = new Uint32Array(checked.length);
        following.set(checked.subarray(1));
        const parts = await executor.score(this.#state, checked, following);
        scores.set(parts.subarray(0, parts.length - 3), 3);
      }
      this.#advance(checked.length);
      return scores;
    });
  }

  /**
   * Draws tokens one after the other, each fed back, until a limit or a stop.
   *
   * Ending early (break, abort, a stop text) leaves the session exactly behind the last token that was handed out.
   *
   * @throws {TypeError} If nothing was fed yet.
   */
  async *generate(options: GenerateOptions = {}): AsyncGenerator<GeneratedToken> {
    this.#enter("generate");
    try {
      if (this.#model.executor.config.head.kind !== "lm") {
        throw new TypeError("Cannot generate: this model is a classifier. Use classify");
      }
      if (this.#pendingToken === undefined && !this.#hasLogits) {
        throw new TypeError(
          "Cannot generate: the session has no input yet. Prefill a prompt first",
        );
      }
      this.#sampler = resolveSampling(options, this.#sampler);
      this.#model.executor.setSampler(this.#state, this.#sampler);
      const { executor, tokenizer } = this.#model;
      yield* generateTokens(
        {
          eosTokenIds: executor.config.eos_token_ids,
          maxDraws: executor.maxDraws,
          tokenizer,
          position: () => this.#position + (this.#pendingToken === undefined ? 0 : 1),
          draw: (steps) => this.#draw(steps),
          keep: (draws, count) => this.#keep(draws, count),
        },
        options,
      );
    } finally {
      this.#busy = undefined;
    }
  }

  /** The state as a value: see {@linkcode Snapshot}. */
  async snapshot(): Promise<Snapshot> {
    return await this.#exclusively("take a snapshot", async () => ({
      configHash: this.#model.configHash,
      weightsHash: this.#model.weightsHash,
      position: this.#position,
      pendingToken: this.#pendingToken,
      hasLogits: this.#hasLogits,
      draws: this.#draws,
      sampler: this.#sampler,
      state: await this.#model.executor.readState(this.#state),
    }));
  }

  /**
   * Goes to the point where a snapshot was taken, in this process or another.
   *
   * @throws {TypeError} If it belongs to another model; the session is then as before.
   * @throws {RangeError} If a value in it is impossible; the session is then as before.
   */
  restore(snapshot: Snapshot): void {
    this.#enter("restore");
    try {
      checkSnapshot(snapshot, this.#model);
      checkCounters(snapshot, this.#model.executor);
      const sampler = resolveSampling({}, snapshot.sampler);
      this.#model.executor.writeState(this.#state, snapshot.state);
      this.#model.executor.setSampler(this.#state, sampler);
      this.#sampler = sampler;
      this.#position = snapshot.position;
      this.#draws = snapshot.draws;
      this.#pendingToken = snapshot.pendingToken;
      this.#hasLogits = snapshot.hasLogits;
    } finally {
      this.#busy = undefined;
    }
  }

  /** Another session at the same point, with the same sampler and seed; a copy on the device. */
  fork(): Session {
    this.#enter("fork");
    try {
      const other = new Session(this.#model, this.#sampler);
      this.#model.executor.copyState(this.#state, other.#state);
      other.#position = this.#position;
      other.#draws = this.#draws;
      other.#pendingToken = this.#pendingToken;
      other.#hasLogits = this.#hasLogits;
      return other;
    } finally {
      this.#busy = undefined;
    }
  }

  /** Back to the state before the first input. The sampler settings and the seed stay. */
  reset(): void {
    this.#enter("reset");
    this.#model.executor.resetState(this.#state);
    this.#position = 0;
    this.#draws = 0;
    this.#pendingToken = undefined;
    this.#hasLogits = false;
    this.#busy = undefined;
  }

  /** Frees the state. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#state[Symbol.dispose]();
    this.#before?.[Symbol.dispose]();
  }

  #enter(action: string): void {
    if (this.#disposed) throw new TypeError(`Cannot ${action}: the session is disposed`);
    requireLive(this.#model.executor, action);
    if (this.#busy !== undefined) {
      throw new TypeError(
        `Cannot ${action}: the session is busy (${this.#busy}). Await it first, or fork the session`,
      );
    }
    this.#busy = action;
  }

  async #exclusively<T>(action: string, work: () => Promise<T>): Promise<T> {
    this.#enter(action);
    try {
      return await work();
    } finally {
      this.#busy = undefined;
    }
  }

  #steps(inputs: Uint32Array | Float32Array): number {
    const { input } = this.#model.executor.config;
    return inputs.length / (input.kind === "linear" ? input.d_input : 1);
  }

  #advance(steps: number): void {
    this.#position += steps;
    this.#hasLogits = true;
  }

  async #consumePending(): Promise<void> {
    if (this.#pendingToken === undefined) return;
    await this.#model.executor.forward(this.#state, new Uint32Array([this.#pendingToken]), "none");
    this.#pendingToken = undefined;
    this.#advance(1);
  }

  async #draw(steps: number): Promise<Draws> {
    const { executor } = this.#model;
    this.#before ??= executor.createState(1);
    return await executor.draw(this.#state, steps, {
      consumeFirst: this.#pendingToken !== undefined,
      keep: this.#before,
    });
  }

  /** Settles the session behind the first `count` tokens of a burst. */
  async #keep(draws: Draws, count: number): Promise<void> {
    const { executor } = this.#model;
    const first = this.#pendingToken;
    const kept = draws.ids.slice(0, count);
    if (count < draws.ids.length && this.#before !== undefined) {
      // Steps were made that nobody asked for in the end. Going back and repeating the others gives the same bits, as
      // the same kernels run on the same numbers.
      executor.copyState(this.#before, this.#state);
      if (count === 0) return;
      const consumed = [...(first === undefined ? [] : [first]), ...kept.slice(0, -1)];
      for (const id of consumed) await executor.forward(this.#state, new Uint32Array([id]), "none");
      executor.setToken(this.#state, kept.at(-1) ?? 0, this.#draws + count);
    }
    this.#position += count - (first === undefined ? 1 : 0);
    this.#draws += count;
    this.#pendingToken = kept.at(-1);
  }
}

/** What a snapshot says beside its state. */
function checkCounters({ position, draws, pendingToken }: Snapshot, { config }: Executor): void {
  const rows = config.input.kind === "embedding" ? config.input.vocab_size : 0;
  const counters = [["position", position, Infinity], ["draws", draws, Infinity], [
    "pendingToken",
    pendingToken ?? 0,
    Math.max(rows, 1),
  ]] as const;
  for (const [name, value, end] of counters) {
    if (!Number.isSafeInteger(value) || value < 0 || value >= end) {
      throw new RangeError(
        `Cannot restore the snapshot: ${name} is ${value}, expected a whole number from 0` +
          (end === Infinity ? "" : ` to ${end - 1}`),
      );
    }
  }
}

/** Checks inputs against the model, and gives them the form that executors take. */
export function checkInputs(executor: Executor, inputs: Inputs): Uint32Array | Float32Array {
  const { input, real_vocab_size } = executor.config;
  if (inputs.length === 0) throw new TypeError("Cannot run the model: there are no inputs");
  if (input.kind === "linear") {
    const floats = inputs instanceof Float32Array ? inputs : Float32Array.from(inputs);
    if (floats.length % input.d_input !== 0) {
      throw new TypeError(
        `Cannot run the model: ${floats.length} floats, and a step takes ${input.d_input}`,
      );
    }
    const bad = floats.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new RangeError(`Cannot run the model: input ${bad} is ${floats[bad]}`);
    return floats;
  }
  if (inputs instanceof Float32Array) {
    throw new TypeError("Cannot run the model: it takes token ids, and these are floats");
  }
  for (const [index, id] of inputs.entries()) {
    if (!Number.isInteger(id) || id < 0 || id >= input.vocab_size) {
      throw new RangeError(
        `Cannot run the model: id ${index} is ${id}, and ids go from 0 to ${real_vocab_size - 1}`,
      );
    }
  }
  return Uint32Array.from(inputs);
}
