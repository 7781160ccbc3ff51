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
  /** Rows to begin with: the unit times a power of two. */
  readonly firstRows: number;
  /** Whether a turn may take longer than it should where that saves much of the time a row takes. */
  readonly favorsThroughput: boolean;
}

/** How much less a row must take in turns of twice the rows for these to be worth more than what others wait. */
const WORTH = 1.15;

/** How many rows go through the model in a turn of about {@linkcode TURN_MS}, as measured. */
export class Pace {
  readonly #limits: PieceLimits;
  /** What a row takes, in milliseconds, by the rows of a turn. */
  readonly #cost: Map<number, number> = new Map();
  /** Sizes that ran: the first time kernels are compiled. */
  readonly #ran: Set<number> = new Set();
  #rows: number;

  constructor(limits: PieceLimits) {
    this.#limits = limits;
    this.#rows = limits.firstRows;
  }

  /** Rows of a turn, of all sequences together. */
  get rows(): number {
    return this.#rows;
  }

  /** Notes how long the rows of a turn took, and settles how many the next one has. */
  took(rows: number, elapsedMs: number): void {
    // The rest of a sequence says little: fewer rows take longer each.
    if (rows < 0.75 * this.#rows) return;
    if (!this.#ran.has(this.#rows)) {
      this.#ran.add(this.#rows);
      return;
    }
    this.#cost.set(this.#rows, elapsedMs / rows);
    this.#rows = this.#next(elapsedMs * this.#rows / rows);
  }

  /** @param turnMs What a turn takes now. */
  #next(turnMs: number): number {
    const { unit, favorsThroughput } = this.#limits;
    const cost = (rows: number) => this.#cost.get(rows);
    const [half, twice] = [this.#rows / 2, this.#rows * 2];
    const own = cost(this.#rows) ?? 0;
    if (favorsThroughput && (cost(twice) ?? Infinity) * WORTH < own) return twice;
    // Twice the rows hardly ever take twice as long.
    if (turnMs < TURN_MS * 0.6) return twice;
    if (turnMs < TURN_MS * 1.3) return this.#rows;
    const isHalfWorse = favorsThroughput && (cost(half) ?? 0) > own * WORTH;
    if (half >= unit && !isHalfWorse) return half;
    return favorsThroughput && cost(twice) === undefined ? twice : this.#rows;
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
