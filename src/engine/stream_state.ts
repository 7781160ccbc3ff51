/** What a session is: an executor's state, the place in its stream that it stands for, and the ways back. */

import { inputWidth } from "../model/ends.ts";
import type { Executor, ExecutorState, StateArray } from "../model/executor.ts";
import type { SamplerSettings } from "../model/sampler.ts";
import { BEGINNING, History, type Place, type WayBack } from "./history.ts";

/** Inputs of any kind that an executor takes. */
type Fed = Uint32Array | Float32Array;

/** Inputs of a prompt from which on its end is fed apart, so that going back there does not repeat all of it. */
const LONG_PROMPT = 1024;

/** Where a stream was when something began: see {@linkcode StreamState.keep}. */
interface Kept {
  readonly state: ExecutorState;
  readonly place: Place;
  readonly toRepeat: WayBack["inputs"];
}

/** One stream's state. Methods that run on the executor are for whoever has its turn. */
export class StreamState implements Disposable {
  /** The executor's state; it is the place's once {@linkcode repeat} has run. */
  readonly state: ExecutorState;
  readonly #executor: Executor;
  readonly #history: History;
  /** The state before what is under way: what an early end goes back to. Made when first needed. */
  #before: ExecutorState | undefined;
  #place = BEGINNING;
  /** Inputs up to the place that the state has not consumed: the stream went back, and was not used since. */
  #toRepeat: WayBack["inputs"] = [];

  /** `reach`: inputs that can be taken back at least, once there are so many. */
  constructor(executor: Executor, reach: number) {
    this.#executor = executor;
    this.#history = new History(executor, reach);
    this.state = executor.createState(1);
  }

  get place(): Place {
    return this.#place;
  }

  /** Inputs consumed, and a pending one. */
  get end(): number {
    return this.#place.position + (this.#place.pendingToken === undefined ? 0 : 1);
  }

  /** Inputs that can be taken back at least, once there are so many. */
  get reach(): number {
    return this.#history.reach;
  }

  /** Inputs that can be taken back now. */
  get rewindable(): number {
    return Math.max(0, this.end - Math.max(0, this.#history.earliest));
  }

  /** States held in order to go back. */
  get statesToRewind(): number {
    return this.#history.states;
  }

  /** Whether the state is not yet the place's. */
  get isBehind(): boolean {
    return this.#toRepeat.length > 0;
  }

  /** Steps of inputs: each is a row of floats, or an id. */
  steps(inputs: Fed): number {
    return inputs.length / inputWidth(this.#executor.config);
  }

  /** Inputs of a long prompt that are fed before its end is. */
  apart(inputs: Fed): number {
    const steps = this.steps(inputs);
    return this.reach > 0 && steps >= LONG_PROMPT + this.reach ? steps - this.reach : 0;
  }

  setSampler(sampler: SamplerSettings): void {
    this.#executor.setSampler(this.state, sampler);
  }

  /** To be called before inputs are consumed: a moment to go back to, where it is time for one. */
  mark(): void {
    this.#history.mark(this.state, this.#place);
  }

  /** These inputs are consumed. */
  advance(inputs: Fed, areDrawn = false): void {
    const steps = this.steps(inputs);
    this.#history.consumed(inputs, steps, areDrawn);
    this.#place = { ...this.#place, position: this.#place.position + steps, hasLogits: true };
  }

  /** Tokens were drawn, and all but the last consumed, after one that was pending. */
  advanceDrawn(ids: readonly number[]): void {
    const { pendingToken: first, position, draws } = this.#place;
    const consumed = [...(first === undefined ? [] : [first]), ...ids.slice(0, -1)];
    this.#history.consumed(Uint32Array.from(consumed), consumed.length, true);
    this.#place = {
      ...this.#place,
      position: position + consumed.length,
      draws: draws + ids.length,
      pendingToken: ids.at(-1),
    };
  }

  /** Brings the state to the place, and consumes what is pending: other inputs come next. */
  async begin(): Promise<void> {
    await this.repeat();
    this.mark();
    const { pendingToken } = this.#place;
    if (pendingToken === undefined) return;
    await this.#feed(pendingToken);
    this.#place = { ...this.#place, pendingToken: undefined };
    this.advance(new Uint32Array([pendingToken]), true);
  }

  /** Feeds again what was consumed up to the place. */
  async repeat(): Promise<void> {
    if (!this.isBehind) return;
    for (const inputs of this.#toRepeat) {
      await this.#executor.forward(this.state, inputs, { logits: "none" });
    }
    this.#executor.setToken(this.state, 0, this.#place.draws);
    this.#toRepeat = [];
  }

  /** The state to keep what is now in, for {@linkcode goBackTo} or {@linkcode takeBackDraws}. */
  before(): ExecutorState {
    return this.#before ??= this.#executor.createState(1);
  }

  /** Keeps what is now. */
  keep(): Kept {
    const kept = { state: this.before(), place: this.#place, toRepeat: this.#toRepeat };
    this.#executor.copyState(this.state, kept.state);
    return kept;
  }

  /** Nothing has happened since `kept`. */
  goBackTo({ state, place, toRepeat }: Kept): void {
    this.#executor.copyState(state, this.state);
    this.#place = place;
    this.#toRepeat = toRepeat;
    this.#history.forget(place.position);
  }

  /**
   * Takes back a burst but for the tokens that are kept, from the state that it left in {@linkcode before}. Steps were made
   * that nobody asked for in the end: going back and repeating the others gives the same bits, as the same kernels run on
   * the same numbers.
   */
  async takeBackDraws(kept: readonly number[]): Promise<void> {
    this.#executor.copyState(this.before(), this.state);
    const last = kept.at(-1);
    if (last === undefined) return;
    const { pendingToken, draws } = this.#place;
    if (pendingToken !== undefined) await this.#feed(pendingToken);
    for (const id of kept.slice(0, -1)) await this.#feed(id);
    this.#executor.setToken(this.state, last, draws + kept.length);
  }

  /** Goes back to the place where `n` inputs fewer were consumed; a pending token is the last of them. */
  rewind(n: number, sampler: SamplerSettings): void {
    const position = this.end - n;
    if (position === this.#place.position) {
      // A token that was drawn and not consumed is all that is taken back.
      this.#place = { ...this.#place, draws: this.#place.draws - 1, pendingToken: undefined };
      this.#executor.setToken(this.state, 0, this.#place.draws);
      return;
    }
    const { mark, place, inputs } = this.#history.goBack(position);
    if (mark.state === undefined) this.#executor.resetState(this.state);
    else this.#executor.copyState(mark.state, this.state);
    this.setSampler(sampler);
    this.#executor.setToken(this.state, 0, place.draws);
    this.#place = place;
    this.#toRepeat = inputs;
  }

  /** Goes to another stream's place, from which nothing leads back. */
  goTo(state: readonly StateArray[], place: Place, sampler: SamplerSettings): void {
    this.#executor.writeState(this.state, state);
    this.setSampler(sampler);
    this.#begin(place);
  }

  /** Goes to where another stream is. */
  copyFrom(other: StreamState): void {
    this.#executor.copyState(other.state, this.state);
    this.#place = other.#place;
    this.#toRepeat = other.#toRepeat;
  }

  /** Goes to the beginning. */
  reset(): void {
    this.#executor.resetState(this.state);
    this.#begin(BEGINNING);
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
    this.#before?.[Symbol.dispose]();
    this.#history[Symbol.dispose]();
  }

  #begin(place: Place): void {
    this.#place = place;
    this.#history.clear();
    this.#toRepeat = [];
  }

  async #feed(id: number): Promise<void> {
    await this.#executor.forward(this.state, new Uint32Array([id]), { logits: "none" });
  }
}
