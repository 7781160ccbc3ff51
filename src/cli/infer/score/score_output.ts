/** What `infer.ts score` prints: a line or an object a token as they come, and the sums over all. */

import type { Model } from "../../../engine/model.ts";
import type { ScoredIds, TokenScore } from "../../../engine/score.ts";
import type { TokenStream } from "../../../io/tokenizer/token_stream.ts";
import { ScoredBytes } from "./scored_bytes.ts";

/** Sums over all tokens. */
export interface Summary {
  /** Tokens that have a score. */
  readonly scored: number;
  readonly natsPerToken: number | null;
  readonly perplexity: number | null;
  readonly bitsPerByte?: number;
}

/** What becomes of scores, sequence by sequence. */
export interface ScoreOutput {
  /** Takes the next score of the sequence. */
  add(score: TokenScore): void;
  /** Prints what was taken; a token whose text may not be complete waits. */
  flush(): void;
  /** Ends the sequence. */
  endSequence(): void;
  /** Prints what is left. */
  end(summary: Summary): void;
}

/** Adds scores up. */
export class ScoreSums {
  readonly #bytes: ScoredBytes | undefined;
  #scored = 0;
  #nats = 0;

  /** `text` is what was encoded so far, if anything was: bits a byte are those of its UTF-8. */
  constructor(text: string | undefined, { tokenizer }: Pick<Model, "tokenizer">) {
    if (text === undefined || tokenizer === undefined) return;
    this.#bytes = new ScoredBytes(text, tokenizer.stream({ skipSpecialTokens: true }));
  }

  /** The text goes on. */
  extend(text: string): void {
    this.#bytes?.extend(text);
  }

  /** Takes the next token, and its log-probability. */
  add(id: number, logprob: number): void {
    this.#bytes?.add(id, !Number.isNaN(logprob));
    // The first token of a sequence, which nothing precedes.
    if (Number.isNaN(logprob)) return;
    this.#scored++;
    this.#nats -= logprob;
  }

  /** Takes the next tokens. */
  addAll({ ids, figures }: ScoredIds): void {
    let nats = 0;
    for (let i = 0; i < ids.length; i++) {
      const logprob = figures[3 * i] ?? NaN;
      const isScored = !Number.isNaN(logprob);
      this.#bytes?.add(ids[i] ?? 0, isScored);
      if (!isScored) continue;
      this.#scored++;
      nats -= logprob;
    }
    this.#nats += nats;
  }

  /** The sums so far; bits a byte are right at the end. */
  summary(): Summary {
    const bytes = this.#bytes?.count() ?? 0;
    const mean = this.#scored > 0 ? this.#nats / this.#scored : null;
    return {
      scored: this.#scored,
      natsPerToken: mean,
      perplexity: mean === null ? null : Math.exp(mean),
      ...(bytes > 0 ? { bitsPerByte: this.#nats / Math.LN2 / bytes } : {}),
    };
  }
}

/** The form of what is printed. */
export interface OutputForm {
  /** The sums alone. */
  readonly isShort: boolean;
  /** One JSON object. */
  readonly isJson: boolean;
  /** Whether that object has one for each sequence. */
  readonly nested: boolean;
}

/** Text that is written at once: a million small writes are slow, and what fails soon should have printed nothing. */
const WRITTEN_AT_ONCE = 2 ** 16;

/** Makes the output of a form. */
export function createScoreOutput(
  { isShort, isJson, nested }: OutputForm,
  model: Pick<Model, "tokenizer">,
  write: (text: string) => void,
): ScoreOutput {
  let waiting = "";
  const print = (text: string) => {
    waiting += text;
    if (waiting.length < WRITTEN_AT_ONCE) return;
    write(waiting);
    waiting = "";
  };
  const end = (text: string) => write(waiting + text);
  const flush = () => {
    if (waiting !== "") write(waiting);
    waiting = "";
  };
  if (isShort) {
    const add = () => {}, endSequence = () => {};
    return {
      ...{ add, endSequence, flush },
      end: (summary) => end(isJson ? `${JSON.stringify(summary)}\n` : summaryToLines(summary)),
    };
  }
  const output = isJson ? objects(model, nested, print, end) : lines(model, print, end);
  return { ...output, flush };
}

type Print = (text: string) => void;

/** A line a token, and an empty line after each sequence. */
function lines(
  model: Pick<Model, "tokenizer">,
  print: Print,
  end: Print,
): Omit<ScoreOutput, "flush"> {
  const texts = new TokenTexts(model, ({ id, logprob, rank }, text) =>
    print(
      [
        id,
        Number.isNaN(logprob) ? "-" : logprob.toFixed(4),
        Number.isNaN(rank) ? "-" : rank,
        text === undefined ? "" : JSON.stringify(text),
      ].join("\t").trimEnd() + "\n",
    ));
  return {
    add: (score) => texts.add(score),
    endSequence: () => {
      texts.endSequence();
      print("\n");
    },
    end: (summary) => end(summaryToLines(summary)),
  };
}

/** One object; `nested` gives each sequence one of its own. */
function objects(
  model: Pick<Model, "tokenizer">,
  nested: boolean,
  print: Print,
  end: Print,
): Omit<ScoreOutput, "flush"> {
  let sequences = 0, tokens = 0;
  const begin = () => {
    if (tokens++ > 0) print(",");
    else print(nested ? `${sequences === 0 ? '{"sequences":[' : ","}{"scores":[` : '{"scores":[');
  };
  const texts = new TokenTexts(model, ({ id, logprob, rank, entropy }, text) => {
    begin();
    print(JSON.stringify({ id, text, logprob, rank, entropy }));
  });
  return {
    add: (score) => texts.add(score),
    endSequence: () => {
      texts.endSequence();
      print(nested ? "]}" : "]");
      sequences++;
      tokens = 0;
    },
    // The sums are members of the same object.
    end: (summary) => end(`${nested ? "]" : ""},${JSON.stringify(summary).slice(1)}\n`),
  };
}

/** Gives each token of a sequence its text: all of them together are the text of all. */
class TokenTexts {
  readonly #stream: TokenStream | undefined;
  readonly #show: (score: TokenScore, text: string | undefined) => void;
  /** The last one's text may have an end. */
  #last: { readonly score: TokenScore; readonly text: string | undefined } | undefined;

  constructor(
    { tokenizer }: Pick<Model, "tokenizer">,
    show: (score: TokenScore, text: string | undefined) => void,
  ) {
    this.#stream = tokenizer?.stream();
    this.#show = show;
  }

  add(score: TokenScore): void {
    const text = this.#stream?.push(score.id);
    if (this.#last !== undefined) this.#show(this.#last.score, this.#last.text);
    this.#last = { score, text };
  }

  endSequence(): void {
    if (this.#last === undefined) return;
    const { score, text } = this.#last;
    this.#show(score, text === undefined ? undefined : text + (this.#stream?.flush() ?? ""));
    this.#last = undefined;
  }
}

/** The sums, a line each. */
export function summaryToLines(
  { scored: count, natsPerToken, perplexity, bitsPerByte }: Summary,
): string {
  const sums = natsPerToken === null ? [`scored tokens ${count}`] : [
    `scored tokens ${count}`,
    `nats per token ${natsPerToken.toFixed(4)}`,
    `perplexity ${perplexity?.toFixed(4)}`,
    ...(bitsPerByte === undefined ? [] : [`bits per byte ${bitsPerByte.toFixed(4)}`]),
  ];
  return `${sums.join("\n")}\n`;
}
