/** How far loading a model is: the download from a hub, where there is one, then the way to the GPU. */

import type { LoadOptions } from "../../engine/load_model.ts";
import { Progress } from "../terminal/progress.ts";
import type { Terminal } from "../terminal/terminal.ts";

type Step = Parameters<NonNullable<LoadOptions["onProgress"]>>[0];

/** One line on stderr, whatever is under way. */
export class LoadLine implements Disposable {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #progress: Progress | undefined;
  /** What the line counts: another sum is another line. */
  #counted = "";
  #note: string | undefined;

  /** Shows nothing yet; `now` is a clock in milliseconds. */
  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
  }

  /** Shows a step, if it is time to. */
  update(step: Step): void {
    const { stage, loadedBytes, totalBytes } = step;
    const counted = `${stage} ${totalBytes}`;
    if (this.#progress === undefined || counted !== this.#counted) {
      this[Symbol.dispose]();
      this.#counted = counted;
      this.#progress = new Progress(this.#terminal, {
        label: stage === "download" ? "Downloading" : "Loading",
        unit: "bytes",
        now: this.#now,
        ...(totalBytes === undefined ? {} : { total: totalBytes }),
      });
    }
    if (stage === "load") return this.#progress.update(loadedBytes);
    const { file, note } = step;
    if (note === undefined || this.#terminal.rewrites) {
      this.#progress.update(loadedBytes, note === undefined ? file : `${file}: ${note}`);
    } else if (note !== this.#note) {
      // In a log, what is waited for is worth a line of its own, once.
      this.#terminal.writeError(`Downloading ${file}: ${note}\n`);
    }
    this.#note = note;
  }

  /** Removes the line from a terminal. */
  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
    this.#progress = undefined;
  }
}
