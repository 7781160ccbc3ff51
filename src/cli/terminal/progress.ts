/** How far a long command is: one line on stderr. */

import { formatBytes, formatCount, formatDuration, formatRate } from "./format.ts";
import type { Terminal } from "./terminal.ts";

/** What is counted, and how. */
export interface ProgressOptions {
  /** What is being done, such as "Classifying". */
  readonly label: string;
  /** How many there are in all, where that is known. */
  readonly total?: number;
  /** What is counted, such as "images"; "bytes" gets units. */
  readonly unit: string;
  /**
   * Nothing is shown before this much time has passed, so that what is quick stays silent.
   *
   * @default {1000}
   */
  readonly delayMs?: number;
  /**
   * The clock, in milliseconds.
   *
   * @default {performance.now}
   */
  readonly now?: () => number;
}

/** Often enough to look alive, and rare enough to cost nothing. */
const REWRITE_INTERVAL_MS = 100;

/** Where lines stay, such as in a log: one every so often, and one every tenth of the way... */
const LINE_INTERVAL_MS = 30_000;

/** ...but not at once: where a burst of them is done together, its tenths are one line. */
const LEAST_LINE_INTERVAL_MS = 1000;

/**
 * A line on stderr: rewritten in place on a terminal, else a plain line now and then.
 *
 * Disposing it removes the line from a terminal.
 */
export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #start: number;
  #shownAt: number | undefined;
  /** Where the rate is measured from: what comes before the first update is setting up. */
  #first: { readonly at: number; readonly done: number } | undefined;
  #shownTenth = 0;

  /** Starts the clock; nothing is shown yet. */
  constructor(terminal: Terminal, options: ProgressOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#start = this.#now();
  }

  /**
   * Says how many are done by now.
   *
   * @param done Count since the start.
   * @param note What else to show, such as the accuracy so far.
   */
  update(done: number, note = ""): void {
    const { total, delayMs = 1000 } = this.#options;
    const now = this.#now();
    this.#first ??= { at: now, done };
    if (now - this.#start < delayMs) return;
    const sinceShown = this.#shownAt === undefined ? Infinity : now - this.#shownAt;
    if (this.#terminal.rewrites) {
      if (sinceShown < REWRITE_INTERVAL_MS && done !== total) return;
      this.#terminal.writeError(`\r\x1b[K${this.#line(done, now, note)}`);
    } else {
      const tenth = total === undefined ? 0 : Math.floor(done / total * 10);
      if (tenth <= this.#shownTenth && sinceShown < LINE_INTERVAL_MS) return;
      if (sinceShown < LEAST_LINE_INTERVAL_MS && done !== total) return;
      this.#shownTenth = tenth;
      this.#terminal.writeError(`${this.#line(done, now, note)}\n`);
    }
    this.#shownAt = now;
  }

  /** Clears the line on a terminal. */
  [Symbol.dispose](): void {
    if (this.#terminal.rewrites && this.#shownAt !== undefined) {
      this.#terminal.writeError("\r\x1b[K");
    }
    this.#shownAt = undefined;
  }

  #line(done: number, now: number, note: string): string {
    const { label, total, unit } = this.#options;
    const amount = (count: number) => unit === "bytes" ? formatBytes(count) : formatCount(count);
    const counted = unit === "bytes" ? "" : ` ${unit}`;
    const parts = [
      `${label}: ${amount(done)}${total === undefined ? "" : ` of ${amount(total)}`}${counted}`,
    ];
    const first = this.#first ?? { at: now, done };
    const perMs = (done - first.done) / (now - first.at);
    if (perMs > 0 && Number.isFinite(perMs)) {
      parts.push(
        unit === "bytes"
          ? `${formatBytes(Math.round(perMs * 1000))}/s`
          : `${formatRate(perMs, 1)}/s`,
      );
      if (total !== undefined && done < total) {
        parts.push(`${formatDuration((total - done) / perMs)} left`);
      }
    }
    if (note !== "") parts.push(note);
    return parts.join(", ");
  }
}
