/** What `infer.ts generate` prints: text, ids, an image's drawing or JSON; of one continuation or of several. */

import type { GeneratedToken } from "../../engine/generate.ts";
import type { Model } from "../../engine/model.ts";
import type { Arguments } from "../terminal/arguments.ts";
import { pixelLayout } from "./pixel_image.ts";

/** Where a continuation goes. */
export interface GenerateOutput {
  /** Takes the next token. */
  token(token: GeneratedToken): void;
  /** Takes lines of an image's drawing. */
  lines(text: string): void;
  /** Ends the continuation. */
  end(statistics: object): void;
}

/**
 * Makes the output that the options ask for.
 *
 * @param write Gets what is to be printed.
 * @param branch Which continuation it is, where there are several.
 */
export function createOutput(
  args: Arguments,
  { config, tokenizer }: Model,
  write: (text: string) => void,
  branch?: number,
): GenerateOutput {
  const json = args.has("json");
  const lines = () => {};
  if (args.has("print-ids")) {
    const ids: number[] = [];
    return {
      token: ({ id }) => ids.push(id),
      lines,
      end: (statistics) =>
        write(`${JSON.stringify(json ? { branch, ids, ...statistics } : ids)}\n`),
    };
  }
  if (json) {
    return {
      token: ({ id, text, logprob, position }) =>
        write(`${JSON.stringify({ branch, id, text, logprob, position })}\n`),
      lines,
      end: (statistics) => write(`${JSON.stringify({ branch, statistics })}\n`),
    };
  }
  if (pixelLayout(config) !== undefined) {
    return { token: () => {}, lines: write, end: () => {} };
  }
  return {
    token: ({ id, text }) => write(tokenizer === undefined ? `${id} ` : text),
    lines,
    end: () => write("\n"),
  };
}

/**
 * Texts of several continuations that are made at the same time, one after the other: the first is printed as it comes, and
 * each other when it is its turn.
 */
export class InTurn {
  readonly #write: (text: string) => void;
  readonly #waiting: string[];
  readonly #ended = new Set<number>();
  #now = 0;

  /** `heads` stand before the continuations, in their order. */
  constructor(heads: readonly string[], write: (text: string) => void) {
    this.#waiting = [...heads];
    this.#write = write;
  }

  /** Takes what a continuation prints. */
  write(branch: number, text: string): void {
    this.#waiting[branch] = (this.#waiting[branch] ?? "") + text;
    this.#print();
  }

  /** A continuation has ended. */
  end(branch: number): void {
    this.#ended.add(branch);
    this.#print();
  }

  #print(): void {
    for (;;) {
      const text = this.#waiting[this.#now] ?? "";
      if (text !== "") this.#write(text);
      this.#waiting[this.#now] = "";
      if (!this.#ended.has(this.#now)) return;
      this.#now++;
    }
  }
}
