/** Lines on a terminal that are drawn over themselves. */

import type { Terminal } from "./terminal.ts";

/** A block of lines at the end of stdout; while it lives the cursor is hidden. */
export class LiveBlock implements Disposable {
  readonly #terminal: Terminal;
  #height = 0;

  /** Hides the cursor; nothing is drawn yet. stdout must be a terminal. */
  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    terminal.write("\x1b[?25l");
  }

  /** Draws these lines in the place of the ones before, all in one write. */
  draw(lines: readonly string[]): void {
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : "";
    // Each line is cleared behind its new end, to leave no moment without a picture; then all below, where there may
    // be more of the last one, or the ^C that a terminal shows.
    const text = lines.map((line) => `${line}\x1b[K\n`).join("");
    this.#terminal.write(`\r${up}${text}\x1b[J`);
    this.#height = lines.length;
  }

  /** Shows the cursor again, below what was drawn last, and nothing under it: not the ^C of a terminal either. */
  [Symbol.dispose](): void {
    this.#terminal.write("\r\x1b[J\x1b[?25h");
  }
}
