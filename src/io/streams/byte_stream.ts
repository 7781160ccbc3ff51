/** Bytes that come bit by bit, read by the number: what every format that streams is read from. */

import { quote } from "../quote.ts";

/** Bytes as they come. */
export type ByteStream = AsyncIterable<Uint8Array<ArrayBuffer>>;

/** Reads a stream of bytes; nothing is asked of the source that was not asked of this. */
export class ByteReader {
  /** What error messages call the source. */
  readonly name: string;
  readonly #source: AsyncIterator<Uint8Array<ArrayBuffer>>;
  #held: Uint8Array<ArrayBuffer> = new Uint8Array();
  #position = 0;

  /** Reads from the source's next byte on. */
  constructor(source: ByteStream, name: string) {
    this.#source = source[Symbol.asyncIterator]();
    this.name = name;
  }

  /** Bytes that were taken. */
  get position(): number {
    return this.#position;
  }

  /** The next bytes, so many or, at the end, fewer; they stay where they are. */
  async peek(length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#held.length < length) await this.#fill(length);
    return this.#held.subarray(0, length);
  }

  /**
   * Takes so many bytes.
   *
   * @param what What they are, for the error.
   * @throws {SyntaxError} If the source ends before them.
   */
  async take(length: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.peek(length);
    if (bytes.length < length) {
      throw new SyntaxError(
        `Cannot read ${quote(this.name)}: it ends after ${this.#position + bytes.length} bytes, ` +
          `inside ${what} of ${length} that begins at ${this.#position}`,
      );
    }
    return this.#take(length);
  }

  /**
   * Takes what is there, in whole units; waits for one where there is none.
   *
   * @param unit Bytes of a unit.
   * @param most Bytes at most.
   * @returns Nothing at the end; less than a unit where the source ends inside of one.
   */
  async some(unit: number, most = Infinity): Promise<Uint8Array<ArrayBuffer>> {
    const least = Math.min(unit, most);
    if (this.#held.length < least) await this.#fill(least);
    const there = Math.min(this.#held.length, most);
    return this.#take(there < least ? there : there - there % least);
  }

  /** All that follows, as it comes. */
  async *rest(): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    for (let bytes; (bytes = await this.some(1)).length > 0;) yield bytes;
  }

  /** Lets the source end. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    this.#position += length;
    return bytes;
  }

  async #fill(length: number): Promise<void> {
    const parts = [this.#held];
    let sum = this.#held.length;
    while (sum < length) {
      const { value, done } = await this.#source.next();
      if (done === true) break;
      parts.push(value);
      sum += value.length;
    }
    if (parts.length === 2 && this.#held.length === 0) {
      this.#held = parts[1] ?? this.#held;
      return;
    }
    this.#held = new Uint8Array(sum);
    let at = 0;
    for (const part of parts) {
      this.#held.set(part, at);
      at += part.length;
    }
  }
}

/** A source's bytes; `undefined` once where it pauses for so long. What it gives next is not lost. */
export async function* withPauses<T>(
  source: AsyncIterable<T>,
  pauseMs: number,
): AsyncGenerator<T | undefined, void> {
  const iterator = source[Symbol.asyncIterator]();
  let isWaiting = false;
  try {
    for (;;) {
      isWaiting = true;
      const next = iterator.next();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const pause = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), pauseMs);
      });
      let result;
      try {
        result = await Promise.race([next, pause]);
      } finally {
        clearTimeout(timer);
      }
      if (result === undefined) {
        yield undefined;
        result = await next;
      }
      isWaiting = false;
      if (result.done === true) return;
      yield result.value;
    }
  } finally {
    const ended = iterator.return?.();
    // What is still waited for may never come, and its end does not before it.
    if (isWaiting) ended?.catch(() => {});
    else await ended;
  }
}
