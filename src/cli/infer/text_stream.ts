/** Text as it comes, as token ids. */

import type { Model } from "../../engine/model.ts";
import { withPauses } from "../../io/streams/byte_stream.ts";
import { textOf } from "../../io/streams/text_stream.ts";
import type { EncodedText } from "../../io/tokenizer/encode_stream.ts";
import type { Terminal } from "../terminal/terminal.ts";
import { LostCharacters, requireTokenizer } from "./encode_text.ts";

/** A source that gives nothing for so long has written what it had to: lines are then taken as they are. */
const PAUSE_MS = 10;

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
): AsyncGenerator<EncodedText, void> {
  requireTokenizer(tokenizer, what, config);
  const stream = tokenizer.encodeStream({ continues });
  const lost = new LostCharacters(tokenizer);
  const note = (part: EncodedText): EncodedText => {
    if (part.text !== "") {
      lost.add(part.text, Uint32Array.from(part.ids));
      lost.note(what, terminal);
    }
    return part;
  };
  for await (const text of textOf(withPauses(bytes, PAUSE_MS), name)) {
    yield note(text === undefined ? stream.settle() : stream.push(text));
  }
  yield note(stream.flush());
}
