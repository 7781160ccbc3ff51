/** What `infer.ts score -` prints: a line or an object a token, and one where an alarm starts or ends. */

import type { Model } from "../../../engine/model.ts";
import type { TokenScore } from "../../../engine/score.ts";
import type { TokenStream } from "../../../io/tokenizer/token_stream.ts";
import { type AlarmEvent, RunningPerplexity, type SurpriseAlarm } from "./running_score.ts";
import { type ScoreOutput, type Summary, summaryToLines } from "./score_output.ts";

/** What is printed of a stream, and how. */
export interface StreamForm {
  /** Whether tokens are left out. */
  readonly isShort: boolean;
  /** Whether each line is a JSON object. */
  readonly isJson: boolean;
  /** Tokens after which one counts half in the running perplexity. */
  readonly halfLife: number;
  /** What watches it. */
  readonly alarm: SurpriseAlarm | undefined;
  /** Inputs before the first token. */
  readonly position: number;
}

/** Prints a stream's scores. */
export class ScoreStreamOutput implements ScoreOutput {
  readonly #form: StreamForm;
  readonly #write: (text: string) => void;
  readonly #texts: TokenStream | undefined;
  readonly #perplexity: RunningPerplexity;
  #position: number;
  #waiting = "";

  /** `write` gets whole lines. */
  constructor(
    form: StreamForm,
    { tokenizer }: Pick<Model, "tokenizer">,
    write: (text: string) => void,
  ) {
    this.#form = form;
    this.#write = write;
    this.#texts = tokenizer?.stream({ continues: form.position > 0 });
    this.#perplexity = new RunningPerplexity(form.halfLife);
    this.#position = form.position;
  }

  /** Takes the next token. */
  add({ id, logprob, rank, entropy }: TokenScore): void {
    const { isShort, isJson, alarm } = this.#form;
    const position = this.#position++;
    const isScored = !Number.isNaN(logprob);
    const text = isShort && alarm === undefined ? "" : this.#texts?.push(id) ?? "";
    const surprisal = -logprob / Math.LN2;
    if (!isShort) {
      const perplexity = isScored ? this.#perplexity.add(logprob) : NaN;
      if (isJson) {
        const score = { position, id, text, logprob, rank, entropy, surprisal, perplexity };
        this.#waiting += `${JSON.stringify(score)}\n`;
      } else {
        const [bits, running] = isScored ? [surprisal.toFixed(4), perplexity.toFixed(4)] : "--";
        this.#waiting += `${id}\t${bits}\t${running}\t${JSON.stringify(text)}\n`;
      }
    }
    const event = isScored ? alarm?.add({ bits: surprisal, text }) : undefined;
    if (event !== undefined) this.#waiting += this.#alarmLine(event, position);
  }

  /** Writes what was taken. */
  flush(): void {
    if (this.#waiting === "") return;
    const lines = this.#waiting;
    this.#waiting = "";
    this.#write(lines);
  }

  /** A stream is one sequence. */
  endSequence(): void {}

  /** Prints the sums. */
  end(summary: Summary): void {
    const { isShort, isJson } = this.#form;
    this.#waiting += isJson
      ? `${JSON.stringify(isShort ? summary : { summary })}\n`
      : `${isShort ? "" : "\n"}${summaryToLines(summary)}`;
    this.flush();
  }

  #alarmLine({ alarm, bits, text }: AlarmEvent, position: number): string {
    return this.#form.isJson
      ? `${JSON.stringify({ alarm, position, bits, text })}\n`
      : `alarm ${alarm}\t${position}\t${bits.toFixed(4)}\t${JSON.stringify(text)}\n`;
  }
}
