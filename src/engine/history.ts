/** What a session needs to go back: states of two moments, and what it consumed since. */

import type { Executor, ExecutorState } from "../model/executor.ts";

/** Where a session is in its stream. */
export interface Place {
  /** Inputs consumed. */
  readonly position: number;
  /** Tokens drawn. */
  readonly draws: number;
  /** The last token drawn, if it is not yet consumed. */
  readonly pendingToken: number | undefined;
  /** Whether the state holds the logits of the last input consumed. */
  readonly hasLogits: boolean;
}

/** Before the first input. */
export const BEGINNING: Place = {
  position: 0,
  draws: 0,
  pendingToken: undefined,
  hasLogits: false,
};

/** Inputs that were consumed in one call. */
interface Consumed {
  readonly inputs: Uint32Array | Float32Array;
  /** How many there are. */
  readonly steps: number;
  /** Whether they were drawn, one by one. */
  readonly areDrawn: boolean;
}

/** A moment to go back to. */
interface Mark {
  /** Where the session was; a pending token is none of it. */
  readonly place: Place;
  /** The state then; that before the first input needs none. */
  readonly state: ExecutorState | undefined;
}

/** How a session comes to an earlier place: from a mark, by what it consumed after it. */
export interface WayBack {
  readonly mark: Mark;
  readonly place: Place;
  /** In the order and the parts in which it is to be fed again: the same calls give the same bits. */
  readonly inputs: readonly (Uint32Array | Float32Array)[];
}

/**
 * Two marks at a distance of the reach at least, and the inputs since the older one: so every place within reach lies
 * behind one of them, for the price of a copy of the state now and then. There is no state for each step.
 */
export class History implements Disposable {
  readonly #executor: Executor;
  readonly #reach: number;
  readonly #marks: Mark[] = [];
  readonly #consumed: Consumed[] = [];
  /** States that no mark needs: there are two in all, made when the first is needed. */
  readonly #spare: ExecutorState[] = [];

  /** `reach`: inputs that can be taken back at least, once there are so many; 0 keeps nothing. */
  constructor(executor: Executor, reach: number) {
    this.#executor = executor;
    this.#reach = reach;
  }

  /** Inputs that can be taken back at least. */
  get reach(): number {
    return this.#reach;
  }

  /** States that it holds. */
  get states(): number {
    const marks = this.#marks.filter(({ state }) => state !== undefined).length;
    return marks + this.#spare.length;
  }

  /** The earliest position that there is a way back to; Infinity if there is none. */
  get earliest(): number {
    return this.#marks[0]?.place.position ?? Infinity;
  }

  /** To be called before inputs are consumed: marks the place where it is time to. */
  mark(state: ExecutorState, place: Place): void {
    const last = this.#marks.at(-1);
    if (this.#reach === 0) return;
    if (last !== undefined && place.position - last.place.position < this.#reach) return;
    if (this.#marks.length === 2) this.#dropFirst();
    let copy: ExecutorState | undefined;
    if (place.position > 0) {
      copy = this.#takeState();
      this.#executor.copyState(state, copy);
    }
    const draws = place.draws - (place.pendingToken === undefined ? 0 : 1);
    this.#marks.push({ place: { ...place, draws, pendingToken: undefined }, state: copy });
  }

  /** To be called after inputs were consumed. */
  consumed(inputs: Uint32Array | Float32Array, steps: number, areDrawn: boolean): void {
    if (this.#marks.length === 0 || steps === 0) return;
    // The caller may write other floats into the same array.
    this.#consumed.push({ inputs: inputs.slice(), steps, areDrawn });
  }

  /** The way back to a position, after which nothing leads to later ones. */
  goBack(position: number): WayBack {
    while ((this.#marks.at(-1)?.place.position ?? 0) > position) this.#release(this.#marks.pop());
    const mark = this.#marks.at(-1);
    const [first] = this.#marks;
    if (mark === undefined || first === undefined) {
      throw new RangeError(`Cannot rewind to position ${position}: nothing is kept of it`);
    }
    const inputs: (Uint32Array | Float32Array)[] = [];
    let at = first.place.position, draws = mark.place.draws;
    for (const [index, { inputs: all, steps, areDrawn }] of this.#consumed.entries()) {
      const taken = Math.min(steps, position - at);
      if (taken <= 0) {
        this.#consumed.length = index;
        break;
      }
      const part = all.subarray(0, taken * all.length / steps);
      this.#consumed[index] = { inputs: part, steps: taken, areDrawn };
      if (at >= mark.place.position) {
        if (areDrawn) draws += taken;
        inputs.push(...areDrawn ? each(part) : [part]);
      }
      at += taken;
    }
    const hasLogits = inputs.length > 0 || mark.place.hasLogits;
    return { mark, place: { position, draws, pendingToken: undefined, hasLogits }, inputs };
  }

  /** Forgets what came after a position to which the session went back by other means. */
  forget(position: number): void {
    if (position < this.earliest) this.clear();
    else this.goBack(position);
  }

  /** Nothing leads back from here. */
  clear(): void {
    for (const mark of this.#marks.splice(0)) this.#release(mark);
    this.#consumed.length = 0;
  }

  /** Frees the states. */
  [Symbol.dispose](): void {
    this.clear();
    for (const state of this.#spare.splice(0)) state[Symbol.dispose]();
  }

  #takeState(): ExecutorState {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    // The other one at once: what a session holds does not grow later.
    this.#spare.push(this.#executor.createState(1));
    return this.#executor.createState(1);
  }

  /** The first mark, and what was consumed up to the second. */
  #dropFirst(): void {
    const first = this.#marks.shift();
    let left = (this.#marks[0]?.place.position ?? 0) - (first?.place.position ?? 0);
    let count = 0;
    for (; left > 0; count++) left -= this.#consumed[count]?.steps ?? left;
    this.#consumed.splice(0, count);
    this.#release(first);
  }

  #release(mark: Mark | undefined): void {
    if (mark?.state !== undefined) this.#spare.push(mark.state);
  }
}

function each(inputs: Uint32Array | Float32Array): (Uint32Array | Float32Array)[] {
  return Array.from(inputs, (_, i) => inputs.subarray(i, i + 1));
}
