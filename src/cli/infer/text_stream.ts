/** Text as it comes, as token ids. */

import type { Model } from "../../engine/model.ts";
import { withPauses } from "../../io/streams/byte_stream.ts";
import { textOf } from "../../io/streams/text_stream.ts";
import type { EncodedText } from "../../io/tokenizer/encode_stream.ts";
import { slices } from "../../io/tokenizer/slices.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { LostCharacters, requireTokenizer } from "./encode_text.ts";

/** A source that gives nothing for so long has written what it had to: lines are then taken as they are. */
const PAUSE_MS = 10;

/**
 * Code units that are encoded at once. A stream without an end makes garbage without an end: what is alive while it is
 * collected is copied, and for every so many bytes of that the engine takes a larger heap.
 */
const AT_ONCE = 128;

/** A part of a text, and its ids. */
export interface TextPart {
  /** What was settled. */
  readonly text: string;
  /** Its ids, which the next part's overwrite. */
  readonly ids: Uint32Array<ArrayBuffer>;
}

/** A text that is read as it comes. */
export interface TextSource {
  /** UTF-8. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** What error messages call it. */
  readonly name: string;
  /** What notes call it, such as "prompt". */
  readonly what: string;
  /** Whether it goes on from what a loaded state has consumed. */
  readonly continues: boolean;
}

/**
 * Encodes a text as it comes, and notes on stderr which characters the tokenizer does not keep.
 *
 * @returns Its parts; some have no ids.
 * @throws {TypeError} If the checkpoint has no tokenizer.
 * @throws {SyntaxError} If it is not UTF-8.
 */
export async function* encodeAsItComes(
  { bytes, name, what, continues }: TextSource,
  { tokenizer, config }: Pick<Model, "tokenizer" | "config">,
  terminal: Terminal,
): AsyncGenerator<TextPart, void> {
  requireTokenizer(tokenizer, what, config);
  const stream = tokenizer.encodeStream({ continues });
  const lost = new LostCharacters(tokenizer);
  const all = new IdBuffer();
  const collect = (parts: Iterable<EncodedText>): TextPart => {
    let settled = "";
    all.clear();
    for (const { text, ids } of parts) {
      settled += text;
      all.add(ids);
      lost.add(text, ids);
    }
    lost.note(what, terminal);
    return { text: settled, ids: all.ids };
  };
  const push = function* (text: string) {
    for (const slice of slices(text, AT_ONCE)) yield stream.push(slice);
  };
  for await (const text of textOf(withPauses(bytes, PAUSE_MS), name)) {
    yield collect(text === undefined ? [stream.settle()] : push(text));
  }
  yield collect([stream.flush()]);
}

/** Ids one list after another, in memory that is used again. */
class IdBuffer {
  #buffer = new Uint32Array(4096);
  #count = 0;

  /** What was added. */
  get ids(): Uint32Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#count);
  }

  clear(): void {
    this.#count = 0;
  }

  add(ids: readonly number[]): void {
    const end = this.#count + ids.length;
    if (end > this.#buffer.length) {
      const larger = new Uint32Array(2 * end);
      larger.set(this.ids);
      this.#buffer = larger;
    }
    this.#buffer.set(ids, this.#count);
    this.#count = end;
  }
}
