/** Text of ids that come one by one. */

/** Which tokens show in decoded text. */
export interface DecodeOptions {
  /**
   * Whether special tokens, such as `<|endoftext|>`, are left out.
   *
   * @default {false}
   */
  readonly skipSpecialTokens?: boolean;
}

/** How a stream of ids is decoded, or one of text encoded. */
export interface StreamOptions extends DecodeOptions {
  /**
   * Whether the ids, or the text, go on from other text, such as a prompt. Some decoders leave out the first space of a whole text,
   * which is none of this one's.
   *
   * @default {false}
   */
  readonly continues?: boolean;
}

/**
 * Decodes ids one by one, and never splits a character that is spread over several tokens.
 *
 * All pieces together are what `decode` makes of all ids; of a stream that continues, what they add to other text.
 */
export interface TokenStream {
  /** The text that this id completes, or these: often a word, sometimes nothing yet. Many at once are decoded at once. */
  push(...ids: readonly number[]): string;
  /** The rest: an unfinished character, as U+FFFD. The stream then begins anew. */
  flush(): string;
}

/** Ids that a stream keeps at most, and how many of them it goes on with. */
const WINDOW = 64, CONTEXT = 16;
/** Ids that are decoded at once, where many come: few beside those that may wait. */
const AT_ONCE = 128;
/** Bytes that make up no character are waited for no longer than this. */
const LONGEST_WAIT = 512;

/**
 * Streams over a decoder that only knows whole lists, in constant time and memory an id.
 *
 * The last ids are decoded together, and what was already given out is cut off. An unfinished character
 * shows as U+FFFD at the end of the text, one for each byte since the last token of another kind where a decoder takes
 * such bytes together: those wait until a later id settles them. UTF-8 finds its place again at any first byte of a
 * character, so decoding a window that begins inside a character gives the same end.
 */
export function createTokenStream(
  hasText: (id: number) => boolean,
  decode: (ids: Uint32Array) => string,
  before: readonly number[],
): TokenStream {
  // The last ids, in memory that is used again: a list for each call would be much of what a long stream leaves behind.
  const room = new Uint32Array(before.length + LONGEST_WAIT + AT_ONCE);
  let count = 0, given = 0;
  const decodeWindow = () => decode(room.subarray(0, count));
  const begin = () => {
    room.set(before);
    count = before.length;
    given = decodeWindow().length;
  };
  begin();

  function take(ids: readonly number[]): string {
    const known = ids.every(hasText) ? ids : ids.filter(hasText);
    if (known.length === 0) return "";
    room.set(known, count);
    count += known.length;
    const whole = decodeWindow();
    const text = count < LONGEST_WAIT ? whole.replace(/\ufffd+$/, "") : whole;
    const piece = text.slice(given);
    given = Math.max(given, text.length);
    if (count >= WINDOW && text === whole) {
      room.copyWithin(0, count - CONTEXT, count);
      count = CONTEXT;
      given = decodeWindow().length;
    }
    return piece;
  }

  return {
    push(...ids) {
      if (ids.length <= AT_ONCE) return take(ids);
      let text = "";
      for (let at = 0; at < ids.length; at += AT_ONCE) text += take(ids.slice(at, at + AT_ONCE));
      return text;
    },
    flush() {
      const piece = decodeWindow().slice(given);
      begin();
      return piece;
    },
  };
}
