/** How many bytes of a text were scored. */

import type { TokenStream } from "../../../io/tokenizer/token_stream.ts";

/** Ids whose text is looked at together. */
const AT_ONCE = 128;

const ENCODER = new TextEncoder();

/**
 * Counts the UTF-8 bytes of what was scored: those of the text but for the first token's where nothing foresaw it, and for
 * what the tokenizer left out.
 */
export class ScoredBytes {
  readonly #stream: TokenStream;
  /** The text as it is, and where that differs, in the form that normalizers give it. */
  readonly #texts: Remainder[];
  /** Ids whose text was not looked at, and how many there are. */
  readonly #waiting = new Array<number>(AT_ONCE).fill(0);
  #count = 0;
  #kept = 0;
  #unscored: number | undefined;

  /** `stream` decodes the ids. */
  constructor(text: string, stream: TokenStream) {
    this.#stream = stream;
    this.#texts = [new Remainder("")];
    this.extend(text);
  }

  /** The text goes on. */
  extend(text: string): void {
    const composed = text.normalize("NFC");
    const [first, second] = this.#texts;
    if (second === undefined && composed !== text && first !== undefined) {
      this.#texts.push(first.copy());
    }
    first?.extend(text);
    this.#texts[1]?.extend(composed);
  }

  /** Takes the next id of the text; the first one may have no score. */
  add(id: number, isScored: boolean): void {
    this.#waiting[this.#count++] = id;
    if (this.#unscored === undefined) this.#unscored = isScored ? 0 : this.#look();
    else if (this.#count === AT_ONCE) this.#look();
  }

  /** How many there are, after the last id; 0 where tokens say other things than the text, as an unknown token does. */
  count(): number {
    this.#look();
    this.#keep(this.#stream.flush());
    if (!this.#texts.some(({ isKept }) => isKept)) return 0;
    return Math.max(this.#kept - (this.#unscored ?? 0), 0);
  }

  #look(): number {
    const ids = this.#count === AT_ONCE ? this.#waiting : this.#waiting.slice(0, this.#count);
    this.#count = 0;
    return this.#keep(this.#stream.push(...ids));
  }

  #keep(part: string): number {
    const bytes = ENCODER.encode(part).length;
    this.#kept += bytes;
    for (const text of this.#texts) text.keep(part);
    return bytes;
  }
}

/** Characters of a text that goes on which may wait for their ids: no tokenizer leaves out so many. */
const MOST_WAITING = 2 ** 20;

/** What follows in a text after parts of it, where some of its characters were left out. */
class Remainder {
  #text: string;
  #at = 0;
  /** Whether all parts so far are what is left of the text. */
  isKept = true;

  constructor(text: string) {
    this.#text = text;
  }

  copy(): Remainder {
    const copy = new Remainder(this.#text);
    copy.#at = this.#at;
    copy.isKept = this.isKept;
    return copy;
  }

  extend(text: string): void {
    this.#text = this.#text.slice(this.#at) + text;
    this.#at = 0;
    this.isKept &&= this.#text.length <= MOST_WAITING;
    if (!this.isKept) this.#text = "";
  }

  keep(part: string): void {
    if (!this.isKept) return;
    for (const character of part) {
      const at = this.#text.indexOf(character, this.#at);
      this.isKept &&= at >= 0;
      if (at >= 0) this.#at = at + character.length;
    }
  }
}
