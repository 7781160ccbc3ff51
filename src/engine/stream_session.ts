/** A session over an executor: its state, and the counters that belong to it. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import { inputWidth } from "../model/ends.ts";
import type { Draws, Executor, Pauses } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { stateBytes } from "../model/state_layout.ts";
import { checkInputs } from "./check_inputs.ts";
import { type GeneratedToken, type GenerateOptions, generateTokens } from "./generate.ts";
import { defaultSampling, resolveSampling, type SamplingOptions } from "./sampling.ts";
import { type Call, Lifetime } from "./lifetime.ts";
import type { FeedOptions, Inputs, PrefillOptions, Session } from "./session.ts";
import { checkSnapshot, type ModelIdentity, type Snapshot } from "./snapshot.ts";
import type { SpareState } from "./spare_state.ts";
import { StreamState } from "./stream_state.ts";
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

/** One stream of inputs through an executor. */
export class StreamSession implements Session {
  readonly #model: SessionModel;
  readonly #stream: StreamState;
  readonly #lifetime: Lifetime;
  #sampler: SamplerSettings;
  #busy: string | undefined;

  constructor(model: SessionModel, options: SessionOptions = {}) {
    this.#model = model;
    const { rewind = REACH } = options;
    if (!Number.isSafeInteger(rewind) || rewind < 0) {
      throw new RangeError(
        `Cannot open a session: rewind is ${rewind}, and it must be a whole number from 0`,
      );
    }
    model.lifetime.require("open a session");
    this.#sampler = resolveSampling(options, defaultSampling());
    this.#stream = new StreamState(model.executor, rewind);
    this.#stream.setSampler(this.#sampler);
    this.#lifetime = new Lifetime(
      "the session",
      () => this.#stream[Symbol.dispose](),
      model.lifetime,
    );
  }

  get position(): number {
    return this.#stream.place.position;
  }

  get stateBytes(): number {
    return stateBytes(this.#model.executor.config);
  }

  /** Inputs that it can take back at least, once there are so many. */
  get reach(): number {
    return this.#stream.reach;
  }

  /** Whether it is disposed, or its model is. */
  get isOver(): boolean {
    return this.#lifetime.isOver;
  }

  get rewindable(): number {
    return this.#stream.rewindable;
  }

  get rewindBytes(): number {
    return this.#stream.statesToRewind * this.stateBytes;
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
        await this.#stream.begin();
        const first = logits === "all" ? 0 : this.#stream.apart(checked);
        const width = inputWidth(this.#model.executor.config);
        if (first > 0) {
          const beginning = checked.subarray(0, first * width);
          const options = { logits: "none", onProgress, pauses } as const;
          await this.#model.executor.forward(this.#stream.state, beginning, options);
          this.#stream.advance(beginning);
          this.#stream.mark();
          // What follows is a piece of its own, before which others are served.
          await pauses.between();
        }
        const rest = checked.subarray(first * width);
        const onRest = onProgress && ((inputs: number) => onProgress(first + inputs));
        const options = { logits, onProgress: onRest, pauses };
        const result = await this.#model.executor.forward(this.#stream.state, rest, options);
        this.#stream.advance(rest);
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
      if (this.#stream.steps(checked) !== 1) {
        throw new TypeError(
          `Cannot step: ${this.#stream.steps(checked)} inputs, and a step takes one. Use prefill`,
        );
      }
      if (this.#stream.place.pendingToken === undefined && !this.#stream.isBehind) {
        this.#stream.mark();
        const request = { state: this.#stream.state, input: checked };
        const logits = await this.#model.together.steps.ask(call, request);
        this.#stream.advance(checked);
        return logits;
      }
      return await this.#model.turns.run(call, async () => {
        await this.#stream.begin();
        const logits = await executor.forward(this.#stream.state, checked, { logits: "last" });
        this.#stream.advance(checked);
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
        await this.#stream.begin();
        const scores = new Float32Array(checked.length * 3).fill(NaN);
        if (this.#stream.place.hasLogits) {
          scores.set(await executor.scoreNext(this.#stream.state, checked[0] ?? 0));
        }
        if (checked.length === 1) {
          await executor.forward(this.#stream.state, checked, { logits: "none" });
        } else {
          // The last id has nothing after it: any target will do, and its figures are dropped.
          const following = new Uint32Array(checked.length);
          following.set(checked.subarray(1));
          const parts = await executor.score(this.#stream.state, checked, following, pauses);
          scores.set(parts.subarray(0, parts.length - 3), 3);
        }
        this.#stream.advance(checked);
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
      if (this.#stream.place.pendingToken === undefined && !this.#stream.place.hasLogits) {
        throw new TypeError(
          "Cannot generate: the session has no input yet. Prefill a prompt first",
        );
      }
      this.#sampler = resolveSampling(options, this.#sampler);
      this.#stream.setSampler(this.#sampler);
      const { executor, tokenizer } = this.#model;
      if (this.#stream.isBehind) {
        await this.#lifetime.call(
          "generate",
          options.signal,
          (call) => this.#inTurn(call, { mayEnd: true }, () => this.#stream.repeat()),
        );
      }
      yield* generateTokens(
        {
          eosTokenIds: executor.config.eos_token_ids,
          maxDraws: executor.maxDraws,
          tokenizer,
          position: () => this.#stream.end,
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
      const { position, draws, pendingToken, hasLogits } = snapshot;
      this.#stream.goTo(snapshot.state, { position, draws, pendingToken, hasLogits }, sampler);
      this.#sampler = sampler;
    } finally {
      this.#busy = undefined;
    }
  }

  fork(): StreamSession {
    this.#enter("fork");
    try {
      const options = { ...this.#sampler, rewind: this.#stream.reach };
      const other = new StreamSession(this.#model, options);
      other.#stream.copyFrom(this.#stream);
      return other;
    } finally {
      this.#busy = undefined;
    }
  }

  reset(): void {
    this.#enter("reset");
    this.#stream.reset();
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
            `${this.#stream.reach} of those since it began, was restored or forked. Open it with a larger rewind, or ` +
            "take snapshots",
        );
      }
      if (n > 0) this.#stream.rewind(n, this.#sampler);
    } finally {
      this.#busy = undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]();
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
      await this.#stream.repeat();
      return await executor.readState(this.#stream.state);
    });
    return { configHash, weightsHash, ...this.#stream.place, sampler: this.#sampler, state };
  }

  /** Runs work on the executor when it is this session's turn; where that may end in the middle, nothing has happened then. */
  async #inTurn<T>(
    call: Call,
    { mayEnd }: { readonly mayEnd: boolean },
    work: (pauses: Pauses) => Promise<T>,
  ): Promise<T> {
    return await this.#model.turns.run(call, async (pauses) => {
      if (!mayEnd) return await work(pauses);
      const kept = this.#stream.keep();
      try {
        const result = await work(pauses);
        call.check();
        return result;
      } catch (error) {
        if (!this.#lifetime.isOver) this.#stream.goBackTo(kept);
        throw error;
      }
    });
  }

  #draw(steps: number, signal: AbortSignal | undefined): Promise<Draws> {
    const stream = this.#stream;
    return this.#lifetime.call("generate", signal, async (call) => {
      stream.mark();
      const draws = await this.#model.together.draws.ask(call, {
        state: stream.state,
        steps,
        consumeFirst: stream.place.pendingToken !== undefined,
        keep: stream.before(),
      });
      const broken = draws.logprobs.findIndex(Number.isNaN);
      if (broken < 0) return draws;
      throw new RangeError(
        `Cannot draw a token: the logits of draw ${stream.place.draws + broken} are not finite`,
      );
    });
  }

  /** Settles the session behind the first `count` tokens of a burst; one that is disposed needs no settling. */
  async #keep(draws: Draws, count: number): Promise<void> {
    if (this.#lifetime.isOver) return;
    const kept = draws.ids.slice(0, count);
    if (count < draws.ids.length) {
      const { turns } = this.#model;
      await this.#lifetime.call(
        "generate",
        undefined,
        (call) => turns.run(call, () => this.#stream.takeBackDraws(kept)),
      );
      if (count === 0) return;
    }
    this.#stream.advanceDrawn(kept);
  }
}
