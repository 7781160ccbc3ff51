/** A session over an executor: its state, and the counters that belong to it. */

import type { Tokenizer } from "../io/tokenizer/tokenizer.ts";
import { inputWidth } from "../model/ends.ts";
import { type Draws, type Executor, type ExecutorState, requireLive } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { stateBytes } from "../model/state_layout.ts";
import { checkInputs } from "./check_inputs.ts";
import { type GeneratedToken, type GenerateOptions, generateTokens } from "./generate.ts";
import { defaultSampling, resolveSampling, type SamplingOptions } from "./sampling.ts";
import type { Inputs, PrefillOptions, Session } from "./session.ts";
import { checkSnapshot, type ModelIdentity, type Snapshot } from "./snapshot.ts";

/** What a session needs of its model. */
export interface SessionModel extends ModelIdentity {
  /** What runs the model. */
  readonly executor: Executor;
  /** What makes text of ids; without one, tokens come with empty texts. */
  readonly tokenizer: Tokenizer | undefined;
}

/** One stream of inputs through an executor. */
export class StreamSession implements Session {
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

  constructor(model: SessionModel, options: SamplingOptions = {}) {
    this.#model = model;
    requireLive(model.executor, "open a session");
    this.#sampler = resolveSampling(options, defaultSampling());
    this.#state = model.executor.createState(1);
    model.executor.setSampler(this.#state, this.#sampler);
  }

  get position(): number {
    return this.#position;
  }

  get stateBytes(): number {
    return stateBytes(this.#model.executor.config);
  }

  get sampler(): SamplerSettings {
    return this.#sampler;
  }

  async prefill(
    inputs: Inputs,
    { logits = "last", onProgress }: PrefillOptions = {},
  ): Promise<Float32Array | undefined> {
    if (!["none", "last", "all"].includes(logits)) {
      throw new TypeError(`Cannot prefill: logits is "${logits}", expected none, last or all`);
    }
    const checked = checkInputs(this.#model.executor.config, inputs);
    return await this.#exclusively("prefill", async () => {
      await this.#consumePending();
      const result = await this.#model.executor.forward(this.#state, checked, {
        logits,
        onProgress,
      });
      this.#advance(this.#steps(checked));
      return result;
    });
  }

  async step(input: number | Float32Array): Promise<Float32Array> {
    const { input: kind } = this.#model.executor.config;
    const inputs = typeof input === "number"
      ? (kind.kind === "linear" ? new Float32Array([input]) : [input])
      : input;
    const checked = checkInputs(this.#model.executor.config, inputs);
    if (this.#steps(checked) !== 1) {
      throw new TypeError(
        `Cannot step: ${this.#steps(checked)} inputs, and a step takes one. Use prefill`,
      );
    }
    return await this.#exclusively("step", async () => {
      await this.#consumePending();
      const logits = await this.#model.executor.forward(this.#state, checked, { logits: "last" });
      this.#advance(1);
      return logits ?? new Float32Array();
    });
  }

  async score(ids: readonly number[] | Uint32Array): Promise<Float32Array> {
    const checked = checkInputs(this.#model.executor.config, ids);
    if (!(checked instanceof Uint32Array)) {
      throw new TypeError("Cannot score: this model has no tokens");
    }
    return await this.#exclusively("score", async () => {
      const { executor } = this.#model;
      await this.#consumePending();
      const scores = new Float32Array(checked.length * 3).fill(NaN);
      if (this.#hasLogits) scores.set(await executor.scoreNext(this.#state, checked[0] ?? 0));
      if (checked.length === 1) {
        await executor.forward(this.#state, checked, { logits: "none" });
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

  restore(snapshot: Snapshot): void {
    this.#enter("restore");
    try {
      checkSnapshot(snapshot, this.#model, this.#model.executor.config);
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

  fork(): StreamSession {
    this.#enter("fork");
    try {
      const other = new StreamSession(this.#model, this.#sampler);
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

  reset(): void {
    this.#enter("reset");
    this.#model.executor.resetState(this.#state);
    this.#position = 0;
    this.#draws = 0;
    this.#pendingToken = undefined;
    this.#hasLogits = false;
    this.#busy = undefined;
  }

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
    return inputs.length / inputWidth(this.#model.executor.config);
  }

  #advance(steps: number): void {
    this.#position += steps;
    this.#hasLogits = true;
  }

  async #consumePending(): Promise<void> {
    if (this.#pendingToken === undefined) return;
    await this.#feed(this.#pendingToken);
    this.#pendingToken = undefined;
    this.#advance(1);
  }

  async #feed(id: number): Promise<void> {
    await this.#model.executor.forward(this.#state, new Uint32Array([id]), { logits: "none" });
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
      for (const id of consumed) await this.#feed(id);
      executor.setToken(this.#state, kept.at(-1) ?? 0, this.#draws + count);
    }
    this.#position += count - (first === undefined ? 1 : 0);
    this.#draws += count;
    this.#pendingToken = kept.at(-1);
  }
}
