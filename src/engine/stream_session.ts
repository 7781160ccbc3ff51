/** A session over an executor: its state, and the counters that belong to it. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import { inputWidth } from "../model/ends.ts";
import type { Draws, Executor, ExecutorState, Pauses } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { stateBytes } from "../model/state_layout.ts";
import { checkInputs } from "./check_inputs.ts";
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

/** Where a session is in its stream. */
interface Place {
  /** Inputs consumed. */
  readonly position: number;
  /** Tokens drawn. */
  readonly draws: number;
  /** The last token drawn, if it is not yet consumed. */
  readonly pendingToken: number | undefined;
  /** Whether the state holds the logits of the last input consumed. */
  readonly hasLogits: boolean;
}

const BEGINNING: Place = { position: 0, draws: 0, pendingToken: undefined, hasLogits: false };

/** One stream of inputs through an executor. */
export class StreamSession implements Session {
  readonly #model: SessionModel;
  readonly #state: ExecutorState;
  readonly #lifetime: Lifetime;
  /** The state before what is under way: what an early end goes back to. Made when first needed. */
  #before: ExecutorState | undefined;
  #sampler: SamplerSettings;
  #place = BEGINNING;
  #busy: string | undefined;

  constructor(model: SessionModel, options: SamplingOptions = {}) {
    this.#model = model;
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
        await this.#consumePending();
        const options = { logits, onProgress, pauses };
        const result = await this.#model.executor.forward(this.#state, checked, options);
        this.#advance(this.#steps(checked));
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
      if (this.#place.pendingToken === undefined) {
        const request = { state: this.#state, input: checked };
        const logits = await this.#model.together.steps.ask(call, request);
        this.#advance(1);
        return logits;
      }
      return await this.#model.turns.run(call, async () => {
        await this.#consumePending();
        const logits = await executor.forward(this.#state, checked, { logits: "last" });
        this.#advance(1);
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
        await this.#consumePending();
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
        this.#advance(checked.length);
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
      yield* generateTokens(
        {
          eosTokenIds: executor.config.eos_token_ids,
          maxDraws: executor.maxDraws,
          tokenizer,
          position: () => this.position + (this.#place.pendingToken === undefined ? 0 : 1),
          draw: (steps) => this.#draw(steps, options.signal),
          keep: (draws, count) => this.#keep(draws, count),
        },
        options,
      );
    } finally {
      this.#busy = undefined;
    }
  }

  snapshot(): Promise<Snapshot> {
    return this.#exclusively("take a snapshot", undefined, async (call) => {
      const { configHash, weightsHash, executor, turns } = this.#model;
      const state = await turns.run(call, () => executor.readState(this.#state));
      return { configHash, weightsHash, ...this.#place, sampler: this.#sampler, state };
    });
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
    } finally {
      this.#busy = undefined;
    }
  }

  fork(): StreamSession {
    this.#enter("fork");
    try {
      const other = new StreamSession(this.#model, this.#sampler);
      this.#model.executor.copyState(this.#state, other.#state);
      other.#place = this.#place;
      return other;
    } finally {
      this.#busy = undefined;
    }
  }

  reset(): void {
    this.#enter("reset");
    this.#model.executor.resetState(this.#state);
    this.#place = BEGINNING;
    this.#busy = undefined;
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]();
  }

  #free(): void {
    this.#state[Symbol.dispose]();
    this.#before?.[Symbol.dispose]();
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

  /** Runs work on the executor when it is this session's turn; where that may end in the middle, nothing has happened then. */
  async #inTurn<T>(
    call: Call,
    { mayEnd }: { readonly mayEnd: boolean },
    work: (pauses: Pauses) => Promise<T>,
  ): Promise<T> {
    const { executor, turns } = this.#model;
    const place = this.#place;
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
        }
        throw error;
      }
    });
  }

  #steps(inputs: Uint32Array | Float32Array): number {
    return inputs.length / inputWidth(this.#model.executor.config);
  }

  /** So many inputs are consumed. */
  #advance(steps: number): void {
    this.#place = { ...this.#place, position: this.#place.position + steps, hasLogits: true };
  }

  async #consumePending(): Promise<void> {
    const { pendingToken } = this.#place;
    if (pendingToken === undefined) return;
    await this.#feed(pendingToken);
    this.#place = { ...this.#place, pendingToken: undefined };
    this.#advance(1);
  }

  async #feed(id: number): Promise<void> {
    await this.#model.executor.forward(this.#state, new Uint32Array([id]), { logits: "none" });
  }

  #draw(steps: number, signal: AbortSignal | undefined): Promise<Draws> {
    const { executor, together } = this.#model;
    return this.#lifetime.call("generate", signal, async (call) => {
      this.#before ??= executor.createState(1);
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
    this.#place = {
      ...this.#place,
      position: position + count - (first === undefined ? 1 : 0),
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
