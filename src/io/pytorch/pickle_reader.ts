import { quote } from "../quote.ts";

/** A pickle is malformed or beyond this reader's limits. Reading it again will not help. */
export class PickleError extends SyntaxError {
  /** The class's name. */
  override readonly name = "PickleError";
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LATIN1 = new TextDecoder("latin1");
/** Python has no limit; 256 bytes hold any count, size or seed. */
const MAX_INTEGER_BYTES = 256;
const MAX_INTEGER_DIGITS = 620;

/** Takes the arguments of pickle opcodes off bytes, each checked against the end. */
export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  #position = 0;

  /**
   * Starts at the first byte.
   *
   * @param bytes The pickle.
   * @param name What messages call it.
   */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
  }

  /** The error for what was found at the current place. */
  fail(found: string): PickleError {
    return new PickleError(`Cannot read ${quote(this.#name)}: at byte ${this.#position}, ${found}`);
  }

  /** The next `length` bytes, as a view. */
  bytes(length: number): Uint8Array {
    const left = this.#bytes.length - this.#position;
    if (length > left) throw this.fail(`${length} bytes are needed and ${left} are left`);
    this.#position += length;
    return this.#bytes.subarray(this.#position - length, this.#position);
  }

  #advance(length: number): number {
    this.bytes(length);
    return this.#position - length;
  }

  /** An unsigned byte. */
  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** A little-endian unsigned 16-bit integer. */
  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  /** A little-endian signed 32-bit integer. */
  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** A little-endian unsigned 32-bit integer. */
  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** A little-endian unsigned 64-bit length; beyond 2^53 it is only known to be too long. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** A big-endian double: the one opcode that has it so. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** UTF-8 of `length` bytes. Python lets lone surrogates through; here they become U+FFFD. */
  text(length: number): string {
    const bytes = this.bytes(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      return new TextDecoder().decode(bytes);
    }
  }

  /** A Python 2 string of `length` bytes: UTF-8 where it is that, else one character a byte. */
  byteText(length: number): string {
    const bytes = this.bytes(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      return LATIN1.decode(bytes);
    }
  }

  /** A little-endian two's-complement integer of `length` bytes. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES) {
      throw this.fail(`an integer has ${length} bytes, and at most ${MAX_INTEGER_BYTES} are read`);
    }
    let value = 0n;
    const bytes = this.bytes(length);
    for (let i = length - 1; i >= 0; i--) value = value << 8n | BigInt(bytes[i] ?? 0);
    return narrow(BigInt.asIntN(length * 8, value));
  }

  /** Text up to the next line feed, which is consumed. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) throw this.fail("a line has no end");
    const text = this.byteText(end - this.#position);
    this.#position++;
    return text;
  }

  /** A line that holds a decimal integer. */
  lineInteger(): number | bigint {
    const line = this.line().replace(/L$/, "");
    if (line.length > MAX_INTEGER_DIGITS || !/^[-+]?[0-9]+$/.test(line)) {
      throw this.fail(`${quote(line)} is not an integer`);
    }
    return narrow(BigInt(line.replace(/^\+/, "")));
  }

  /** A line that holds a float as Python prints it. */
  lineFloat(): number {
    const line = this.line();
    if (/^[-+]?(inf|nan)$/i.test(line)) {
      return line.toLowerCase().endsWith("nan") ? NaN : line.startsWith("-") ? -Infinity : Infinity;
    }
    if (!/^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(line)) {
      throw this.fail(`${quote(line)} is not a number`);
    }
    return Number(line);
  }

  /** A line that holds a quoted Python 2 string. */
  lineString(): string {
    const line = this.line();
    const mark = line.at(0);
    if (line.length < 2 || (mark !== "'" && mark !== '"') || line.at(-1) !== mark) {
      throw this.fail("a string is not quoted");
    }
    return line.slice(1, -1).replace(
      /\\(x[0-9a-fA-F]{2}|[\\'"abfnrtv])/g,
      (_, escape: string) =>
        escape.length === 3
          ? String.fromCharCode(parseInt(escape.slice(1), 16))
          : ESCAPES.get(escape) ?? escape,
    );
  }

  /** A line that holds text with `\uXXXX` escapes. */
  lineUnicode(): string {
    return this.line().replace(
      /\\u([0-9a-fA-F]{4})|\\U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})/g,
      (_, short?: string, long?: string) =>
        String.fromCodePoint(parseInt(short ?? long ?? "0", 16)),
    );
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
]);

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
