/** A session over an executor: its state, and the counters that belong to it. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import { inputWidth } from "../model/ends.ts";
import type { Draws, Executor, ExecutorState, Pauses } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { stateBytes } from "../model/state_layout.ts";
import { checkInputs } from "./check_inputs.ts";
import { BEGINNING, History, type WayBack } from "./history.ts";
import { type GeneratedToken, type GenerateOptions, generateTokens } from "./generate.ts";
import { defaultSampling, resolveSampling, type SamplingOptions } from "./sampling.ts";
import { type Call, Lifetime } from "./lifetime.ts";
import type { FeedOptions, Inputs, PrefillOptions, Session } from "./session.ts";
import { checkSnapshot, type ModelIdentity, type Snapshot } from "./snapshot.ts";
import type { SpareState } from "./spare_state.ts";
import type { Together } from "./together.ts";
import type { Turns } from "./turns.ts";

/** What a session needs of its model. */
export interface SessionModel extends ModelIdentity {
  /** What runs the model. */
  readonly executor: Executor;
  /** How long it may be used. */
  readonly lifetime: Lifetime;
  /** Who may run on it when. */
  readonly turns: Turns;
  /** What its sessions do in one call for all. */
  readonly together: Together;
  /** The state of calls that need one for themselves. */
  readonly spare: SpareState;
  /** What makes text of ids; without one, tokens come with empty texts. */
  readonly tokenizer: Tokenizer | undefined;
}

/** Options of a session. */
export interface SessionOptions extends SamplingOptions {
  /**
   * Inputs that {@linkcode Session.rewind} can take back at least. It costs two more states, made when they are first
   * needed, and a copy of the state after every so many inputs; 0 costs nothing.
   *
   * @default {64}
   */
  readonly rewind?: number | undefined;
}

/** Inputs that can be taken back where nothing is said. */
const REACH = 64;

/** Inputs of a prompt from which on its end is fed apart, so that going back there does not repeat all of it. */
const LONG_PROMPT = 1024;

/** One stream of inputs through an executor. */
export class StreamSession implements Session {
  readonly #model: SessionModel;
  readonly #state: ExecutorState;
  readonly #lifetime: Lifetime;
  /** The state before what is under way: what an early end goes back to. Made when first needed. */
  #before: ExecutorState | undefined;
  #sampler: SamplerSettings;
  #place = BEGINNING;
  readonly #history: History;
  /** Inputs up to the place that the state has not consumed: the session went back, and was not used since. */
  #toRepeat: WayBack["inputs"] = [];
  #busy: string | undefined;

  constructor(model: SessionModel, options: SessionOptions = {}) {
    this.#model = model;
    const { rewind = REACH } = options;
    if (!Number.isSafeInteger(rewind) || rewind < 0) {
      throw new RangeError(
        `Cannot open a session: rewind is ${rewind}, and it must be a whole number from 0`,
      );
    }
    this.#history = new History(model.executor, rewind);
    model.lifetime.require("open a session");
    this.#sampler = resolveSampling(options, defaultSampling());
    this.#state = model.executor.createState(1);
    model.executor.setSampler(this.#state, this.#sampler);
    this.#lifetime = new Lifetime("the session", () => this.#free(), model.lifetime);
  }

  get position(): number {
    return this.#place.position;
  }

  get stateBytes(): number {
    return stateBytes(this.#model.executor.config);
  }

  get rewindable(): number {
    return Math.max(0, this.#end - Math.max(0, this.#history.earliest));
  }

  get rewindBytes(): number {
    return this.#history.states * this.stateBytes;
  }

  /** Inputs consumed, and a pending one. */
  get #end(): number {
    return this.position + (this.#place.pendingToken === undefined ? 0 : 1);
  }

  get sampler(): SamplerSettings {
    return this.#sampler;
  }

  prefill(
    inputs: Inputs,
    { logits = "last", onProgress, signal }: PrefillOptions = {},
  ): Promise<Float32Array | undefined> {
    return this.#exclusively("prefill", signal, async (call) => {
      if (!["none", "last", "all"].includes(logits)) {
        throw new TypeError(`Cannot prefill: logits is "${logits}", expected none, last or all`);
      }
      const checked = checkInputs(this.#model.executor.config, inputs);
      const mayEnd = signal !== undefined || onProgress !== undefined;
      return await this.#inTurn(call, { mayEnd }, async (pauses) => {
        await this.#begin();
        const first = logits === "all" ? 0 : this.#apart(checked);
        const width = inputWidth(this.#model.executor.config);
        if (first > 0) {
          const beginning = checked.subarray(0, first * width);
          const options = { logits: "none", onProgress, pauses } as const;
          await this.#model.executor.forward(this.#state, beginning, options);
          this.#advance(beginning);
          this.#history.mark(this.#state, this.#place);
          // What follows is a piece of its own, before which others are served.
          await pauses.between();
        }
        const rest = checked.subarray(first * width);
        const onRest = onProgress && ((inputs: number) => onProgress(first + inputs));
        const options = { logits, onProgress: onRest, pauses };
        const result = await this.#model.executor.forward(this.#state, rest, options);
        this.#advance(rest);
        return result;
      });
    });
  }

  step(input: number | Float32Array, { signal }: FeedOptions = {}): Promise<Float32Array> {
    return this.#exclusively("step", signal, async (call) => {
      const { executor } = this.#model;
      const { input: kind } = executor.config;
      const inputs = typeof input === "number"
        ? (kind.kind === "linear" ? new Float32Array([input]) : [input])
        : input;
      const checked = checkInputs(executor.config, inputs);
      if (this.#steps(checked) !== 1) {
        throw new TypeError(
          `Cannot step: ${this.#steps(checked)} inputs, and a step takes one. Use prefill`,
        );
      }
      if (this.#place.pendingToken === undefined && this.#toRepeat.length === 0) {
        this.#history.mark(this.#state, this.#place);
        const request = { state: this.#state, input: checked };
        const logits = await this.#model.together.steps.ask(call, request);
        this.#advance(checked);
        return logits;
      }
      return await this.#model.turns.run(call, async () => {
        await this.#begin();
        const logits = await executor.forward(this.#state, checked, { logits: "last" });
        this.#advance(checked);
        return logits ?? new Float32Array();
      });
    });
  }

  score(
    ids: readonly number[] | Uint32Array,
    { signal }: FeedOptions = {},
  ): Promise<Float32Array> {
    return this.#exclusively("score", signal, async (call) => {
      const { executor } = this.#model;
      const checked = checkInputs(executor.config, ids);
      if (!(checked instanceof Uint32Array)) {
        throw new TypeError("Cannot score: this model has no tokens");
      }
      const mayEnd = signal !== undefined && checked.length > 1;
      return await this.#inTurn(call, { mayEnd }, async (pauses) => {
        await this.#begin();
        const scores = new Float32Array(checked.length * 3).fill(NaN);
        if (this.#place.hasLogits) {
          scores.set(await executor.scoreNext(this.#state, checked[0] ?? 0));
        }
        if (checked.length === 1) {
          await executor.forward(this.#state, checked, { logits: "none" });
        } else {
          // The last id has nothing after it: any target will do, and its figures are dropped.
          const following = new Uint32Array(checked.length);
          following.set(checked.subarray(1));
          const parts = await executor.score(this.#state, checked, following, pauses);
          scores.set(parts.subarray(0, parts.length - 3), 3);
        }
        this.#advance(checked);
        return scores;
      });
    });
  }

  generate(options: GenerateOptions = {}): AsyncGenerator<GeneratedToken, void> {
    return this.#lifetime.generator("generate", this.#generate(options));
  }

  async *#generate(options: GenerateOptions): AsyncGenerator<GeneratedToken, void> {
    this.#enter("generate");
    try {
      if (this.#model.executor.config.head.kind !== "lm") {
        throw new TypeError("Cannot generate: this model is a classifier. Use classify");
      }
      if (this.#place.pendingToken === undefined && !this.#place.hasLogits) {
        throw new TypeError(
          "Cannot generate: the session has no input yet. Prefill a prompt first",
        );
      }
      this.#sampler = resolveSampling(options, this.#sampler);
      this.#model.executor.setSampler(this.#state, this.#sampler);
      const { executor, tokenizer } = this.#model;
      if (this.#toRepeat.length > 0) {
        await this.#lifetime.call(
          "generate",
          options.signal,
          (call) => this.#inTurn(call, { mayEnd: true }, () => this.#repeat()),
        );
      }
      yield* generateTokens(
        {
          eosTokenIds: executor.config.eos_token_ids,
          maxDraws: executor.maxDraws,
          tokenizer,
          position: () => this.#end,
          draw: (steps) => this.#draw(steps, options.signal),
          keep: (draws, count) => this.#keep(draws, count),
          snapshot: () =>
            this.#lifetime.call("take a snapshot", options.signal, (call) => this.#snapshot(call)),
        },
        options,
      );
    } finally {
      this.#busy = undefined;
    }
  }

  snapshot(): Promise<Snapshot> {
    return this.#exclusively("take a snapshot", undefined, (call) => this.#snapshot(call));
  }

  restore(snapshot: Snapshot): void {
    this.#enter("restore");
    try {
      checkSnapshot(snapshot, this.#model, this.#model.executor.config);
      const sampler = resolveSampling({}, snapshot.sampler);
      this.#model.executor.writeState(this.#state, snapshot.state);
      this.#model.executor.setSampler(this.#state, sampler);
      this.#sampler = sampler;
      const { position, draws, pendingToken, hasLogits } = snapshot;
      this.#place = { position, draws, pendingToken, hasLogits };
      this.#forgetAll();
    } finally {
      this.#busy = undefined;
    }
  }

  fork(): StreamSession {
    this.#enter("fork");
    try {
      const options = { ...this.#sampler, rewind: this.#history.reach };
      const other = new StreamSession(this.#model, options);
      this.#model.executor.copyState(this.#state, other.#state);
      other.#place = this.#place;
      other.#toRepeat = this.#toRepeat;
      return other;
    } finally {
      this.#busy = undefined;
    }
  }

  reset(): void {
    this.#enter("reset");
    this.#model.executor.resetState(this.#state);
    this.#place = BEGINNING;
    this.#forgetAll();
    this.#busy = undefined;
  }

  rewind(n: number): void {
    this.#enter("rewind");
    try {
      if (!Number.isSafeInteger(n) || n < 0) {
        throw new RangeError(`Cannot rewind ${n} inputs: expected a whole number from 0`);
      }
      if (n > this.rewindable) {
        throw new RangeError(
          `Cannot rewind ${n} inputs: this session keeps what it needs for ${this.rewindable} now, and for at least ` +
            `${this.#history.reach} of those since it began, was restored or forked. Open it with a larger rewind, or ` +
            "take snapshots",
        );
      }
      if (n > 0) this.#goBack(this.#end - n);
    } finally {
      this.#busy = undefined;
    }
  }

  #goBack(position: number): void {
    const { executor } = this.#model;
    if (position === this.position) {
      // A token that was drawn and not consumed is all that is taken back.
      this.#place = { ...this.#place, draws: this.#place.draws - 1, pendingToken: undefined };
      executor.setToken(this.#state, 0, this.#place.draws);
      return;
    }
    const { mark, place, inputs } = this.#history.goBack(position);
    if (mark.state === undefined) executor.resetState(this.#state);
    else executor.copyState(mark.state, this.#state);
    executor.setSampler(this.#state, this.#sampler);
    executor.setToken(this.#state, 0, place.draws);
    this.#place = place;
    this.#toRepeat = inputs;
  }

  #forgetAll(): void {
    this.#history.clear();
    this.#toRepeat = [];
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]();
  }

  #free(): void {
    this.#state[Symbol.dispose]();
    this.#before?.[Symbol.dispose]();
    this.#history[Symbol.dispose]();
  }

  #enter(action: string): void {
    this.#lifetime.require(action);
    if (this.#busy !== undefined) {
      throw new TypeError(
        `Cannot ${action}: the session is busy (${this.#busy}). Await it first, or fork the session`,
      );
    }
    this.#busy = action;
  }

  #exclusively<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: (call: Call) => Promise<T>,
  ): Promise<T> {
    return this.#lifetime.call(action, signal, async (call) => {
      this.#enter(action);
      try {
        return await work(call);
      } finally {
        this.#busy = undefined;
      }
    });
  }

  async #snapshot(call: Call): Promise<Snapshot> {
    const { configHash, weightsHash, executor, turns } = this.#model;
    const state = await turns.run(call, async () => {
      await this.#repeat();
      return await executor.readState(this.#state);
    });
    return { configHash, weightsHash, ...this.#place, sampler: this.#sampler, state };
  }

  /** Runs work on the executor when it is this session's turn; where that may end in the middle, nothing has happened then. */
  async #inTurn<T>(
    call: Call,
    { mayEnd }: { readonly mayEnd: boolean },
    work: (pauses: Pauses) => Promise<T>,
  ): Promise<T> {
    const { executor, turns } = this.#model;
    const place = this.#place, toRepeat = this.#toRepeat;
    return await turns.run(call, async (pauses) => {
      if (!mayEnd) return await work(pauses);
      this.#before ??= executor.createState(1);
      executor.copyState(this.#state, this.#before);
      try {
        const result = await work(pauses);
        call.check();
        return result;
      } catch (error) {
        if (!this.#lifetime.isOver) {
          executor.copyState(this.#before, this.#state);
          this.#place = place;
          this.#toRepeat = toRepeat;
          this.#history.forget(place.position);
        }
        throw error;
      }
    });
  }

  #steps(inputs: Uint32Array | Float32Array): number {
    return inputs.length / inputWidth(this.#model.executor.config);
  }

  /** Inputs of a long prompt that are fed before its end is. */
  #apart(inputs: Uint32Array | Float32Array): number {
    const steps = this.#steps(inputs), { reach } = this.#history;
    return reach > 0 && steps >= LONG_PROMPT + reach ? steps - reach : 0;
  }

  /** These inputs are consumed. */
  #advance(inputs: Uint32Array | Float32Array, areDrawn = false): void {
    const steps = this.#steps(inputs);
    this.#history.consumed(inputs, steps, areDrawn);
    this.#place = { ...this.#place, position: this.#place.position + steps, hasLogits: true };
  }

  /** Brings the state to the place, and consumes what is pending: other inputs come next. */
  async #begin(): Promise<void> {
    await this.#repeat();
    this.#history.mark(this.#state, this.#place);
    const { pendingToken } = this.#place;
    if (pendingToken === undefined) return;
    await this.#feed(pendingToken);
    this.#place = { ...this.#place, pendingToken: undefined };
    this.#advance(new Uint32Array([pendingToken]), true);
  }

  /** Feeds again what was consumed up to the place. */
  async #repeat(): Promise<void> {
    const { executor } = this.#model;
    if (this.#toRepeat.length === 0) return;
    for (const inputs of this.#toRepeat) {
      await executor.forward(this.#state, inputs, { logits: "none" });
    }
    executor.setToken(this.#state, 0, this.#place.draws);
    this.#toRepeat = [];
  }

  async #feed(id: number): Promise<void> {
    await this.#model.executor.forward(this.#state, new Uint32Array([id]), { logits: "none" });
  }

  #draw(steps: number, signal: AbortSignal | undefined): Promise<Draws> {
    const { executor, together } = this.#model;
    return this.#lifetime.call("generate", signal, async (call) => {
      this.#before ??= executor.createState(1);
      this.#history.mark(this.#state, this.#place);
      const draws = await together.draws.ask(call, {
        state: this.#state,
        steps,
        consumeFirst: this.#place.pendingToken !== undefined,
        keep: this.#before,
      });
      const broken = draws.logprobs.findIndex(Number.isNaN);
      if (broken < 0) return draws;
      throw new RangeError(
        `Cannot draw a token: the logits of draw ${this.#place.draws + broken} are not finite`,
      );
    });
  }

  /** Settles the session behind the first `count` tokens of a burst; one that is disposed needs no settling. */
  async #keep(draws: Draws, count: number): Promise<void> {
    if (this.#lifetime.isOver) return;
    const { pendingToken: first, position } = this.#place;
    const kept = draws.ids.slice(0, count);
    if (count < draws.ids.length) {
      await this.#rewind([...(first === undefined ? [] : [first]), ...kept.slice(0, -1)], kept);
      if (count === 0) return;
    }
    const consumed = [...(first === undefined ? [] : [first]), ...kept.slice(0, -1)];
    this.#history.consumed(Uint32Array.from(consumed), consumed.length, true);
    this.#place = {
      ...this.#place,
      position: position + consumed.length,
      draws: this.#place.draws + count,
      pendingToken: kept.at(-1),
    };
  }

  /**
   * Takes back a burst but for the tokens that are kept. Steps were made that nobody asked for in the end: going back and
   * repeating the others gives the same bits, as the same kernels run on the same numbers.
   */
  async #rewind(consumed: readonly number[], kept: readonly number[]): Promise<void> {
    const { executor, turns } = this.#model;
    await this.#lifetime.call("generate", undefined, (call) =>
      turns.run(call, async () => {
        if (this.#before !== undefined) executor.copyState(this.#before, this.#state);
        if (kept.length === 0) return;
        for (const id of consumed) await this.#feed(id);
        executor.setToken(this.#state, kept.at(-1) ?? 0, this.#place.draws + kept.length);
      }));
  }
}
