/** In which pieces a sequence goes through a model: short enough for others to get their turn, and the same to the bit. */

import { TURN_MS } from "./executor.ts";

/** What an executor says of its pieces. */
export interface PieceLimits {
  /**
   * Steps of which pieces are multiples wherever that many go through at once, so that their cuts show in no bit: of
   * Mamba-2's sums over chunks, say.
   */
  readonly unit: number;
  /** Up to this many rows other kernels run, with other sums: a sequence's last piece has more, or is all of it. */
  readonly fewRows: number;
}

/** A piece's share of a turn grows no faster than this: what a short one takes says little of a long one. */
const MAX_GROWTH = 4;

/** How much goes through the model in a turn of about {@linkcode TURN_MS}, as measured. */
export class Pace {
  readonly #limits: PieceLimits;
  #rows: number;

  constructor(limits: PieceLimits) {
    this.#limits = limits;
    this.#rows = limits.unit;
  }

  /** Rows, of all sequences together, that take a turn. */
  get rows(): number {
    return this.#rows;
  }

  /** Notes how long so many rows took. */
  took(rows: number, elapsedMs: number): void {
    const affordable = rows * TURN_MS / Math.max(elapsedMs, 1e-3);
    this.#rows = Math.max(this.#limits.unit, Math.min(affordable, this.#rows * MAX_GROWTH));
  }

  /**
   * Steps of the next piece of `batch` sequences.
   *
   * @param left Steps that are left of each.
   * @param most Steps that go through at once.
   */
  steps(batch: number, left: number, most: number): number {
    const { unit, fewRows } = this.#limits;
    if (most < unit) return Math.min(left, most);
    // Powers of two, as programs are recorded for each length.
    const paced = unit * 2 ** Math.floor(Math.log2(Math.max(1, this.#rows / batch / unit)));
    const steps = Math.min(paced, Math.floor(most / unit) * unit);
    if (left <= steps) return left;
    if ((left - steps) * batch > fewRows) return steps;
    if (steps > unit) return steps - unit;
    return Math.min(left, most);
  }
}
