import { quote } from "../quote.ts";

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MAX_SKIPPED_DEPTH = 32;
/** Above any model's tensors in one file. All keys of an object are held, to find the second of two. */
const MAX_KEYS = 300_000;
/** Metadata may hold a whole config or tokenizer. */
const MAX_STRING_BYTES = 16 * 1024 * 1024;

/**
 * A strict pull scanner over the bytes of a JSON text.
 *
 * `JSON.parse` keeps the last of two equal keys without a word, rounds integers beyond 2^53, and
 * builds every value before any limit can be looked at. Here the caller says what it expects next,
 * and nothing is built that it did not ask for.
 */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #fail: (message: string) => Error;
  #position = 0;

  /**
   * Starts at the text's first byte.
   *
   * @param bytes UTF-8 text.
   * @param fail Makes the error to throw from a phrase such as `expected "," at byte 9`.
   */
  constructor(bytes: Uint8Array, fail: (message: string) => Error) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  /** The next byte that is not white space, not consumed, as a character; "" at the end. */
  peek(): string {
    for (; this.#position < this.#bytes.length; this.#position++) {
      const byte = this.#bytes[this.#position] ?? 0;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        return String.fromCharCode(byte);
      }
    }
    return "";
  }

  /** Consumes `character` if it comes next. */
  accept(character: string): boolean {
    if (this.peek() !== character) return false;
    this.#position++;
    return true;
  }

  /** Consumes `character`, or fails. */
  expect(character: string): void {
    if (!this.accept(character)) throw this.#unexpected(quote(character));
  }

  /** Fails unless only white space is left. */
  end(): void {
    if (this.peek() !== "") throw this.#unexpected("nothing more");
  }

  /**
   * Reads an object, calling `member` after each key; `member` consumes the value.
   *
   * @throws What `fail` makes, if a key comes twice or there are more than 300,000.
   */
  object(member: (key: string) => void): void {
    this.expect("{");
    if (this.accept("}")) return;
    const seen = new Set<string>();
    do {
      const key = this.string();
      if (seen.has(key)) throw this.#fail(`the key ${quote(key)} is there twice`);
      if (seen.size === MAX_KEYS) throw this.#fail(`an object has more than ${MAX_KEYS} keys`);
      seen.add(key);
      this.expect(":");
      member(key);
    } while (this.accept(","));
    this.expect("}");
  }

  /** Reads an array, calling `element` for each index; `element` consumes the value. */
  array(element: (index: number) => void): void {
    this.expect("[");
    if (this.accept("]")) return;
    let index = 0;
    do element(index++); while (this.accept(","));
    this.expect("]");
  }

  /** Reads a string. */
  string(): string {
    if (this.peek() !== '"') throw this.#unexpected("a string");
    const start = this.#position++;
    let escaped = false;
    for (; this.#position < this.#bytes.length; this.#position++) {
      const byte = this.#bytes[this.#position] ?? 0;
      if (byte === 0x22) {
        const end = ++this.#position;
        if (end - start > MAX_STRING_BYTES) {
          throw this.#fail(`the string at byte ${start} has more than ${MAX_STRING_BYTES} bytes`);
        }
        return escaped ? this.#unescape(start, end) : this.#decode(start + 1, end - 1);
      }
      if (byte < 0x20) throw this.#unexpected("no control character in a string");
      if (byte === 0x5c) {
        escaped = true;
        this.#position++;
      }
    }
    throw this.#fail(`the string at byte ${start} has no end`);
  }

  /** Reads a whole number from 0 to 2^53 - 1, written in digits alone. */
  size(): number {
    this.peek();
    const start = this.#position;
    const text = this.#number();
    if (!/^(0|[1-9][0-9]*)$/.test(text)) {
      throw this.#fail(
        `${
          text === "" ? "the value" : quote(text)
        } at byte ${start} is not a whole number of 0 or more`,
      );
    }
    const value = Number(text);
    if (!Number.isSafeInteger(value)) {
      throw this.#fail(`${quote(text)} at byte ${start} is beyond 2^53 - 1`);
    }
    return value;
  }

  /** Consumes one value of any kind. */
  skip(depth = 0): void {
    if (depth > MAX_SKIPPED_DEPTH) {
      throw this.#fail(`values are nested deeper than ${MAX_SKIPPED_DEPTH}`);
    }
    const next = this.peek();
    if (next === "{") return this.object(() => this.skip(depth + 1));
    if (next === "[") return this.array(() => this.skip(depth + 1));
    if (next === '"') return void this.string();
    const start = this.#position;
    for (const word of ["true", "false", "null"]) {
      if (this.#decode(start, start + word.length) === word) {
        this.#position += word.length;
        return;
      }
    }
    if (!/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/.test(this.#number())) {
      this.#position = start;
      throw this.#unexpected("a value");
    }
  }

  /** Consumes the characters that numbers are made of; at most 400, the longest that is not hostile. */
  #number(): string {
    const start = this.#position;
    while (
      this.#position - start < 400 && "+-.0123456789eE".includes(this.#character())
    ) this.#position++;
    return this.#decode(start, this.#position);
  }

  #character(): string {
    const byte = this.#bytes[this.#position];
    return byte === undefined ? "\0" : String.fromCharCode(byte);
  }

  #decode(start: number, end: number): string {
    try {
      return DECODER.decode(this.#bytes.subarray(start, end));
    } catch {
      throw this.#fail(`the text at byte ${start} is not UTF-8`);
    }
  }

  #unescape(start: number, end: number): string {
    try {
      return String(JSON.parse(this.#decode(start, end)));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw this.#fail(`the string at byte ${start} has a bad escape`);
    }
  }

  #unexpected(wanted: string): Error {
    const next = this.peek();
    const found = next === "" ? "the end" : quote(next);
    return this.#fail(`expected ${wanted} at byte ${this.#position}, found ${found}`);
  }
}
