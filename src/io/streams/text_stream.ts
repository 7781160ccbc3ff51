/** Text that comes as bytes, bit by bit. */

import { invalidByte, validPrefix } from "../datasets/text.ts";

/**
 * Decodes UTF-8 as it comes, and never splits a character. A byte order mark at the start is dropped.
 *
 * @param source Bytes; `undefined` is passed on.
 * @param name What error messages call it.
 * @throws {SyntaxError} If it is not UTF-8: the first bad byte is named.
 */
export async function* textOf(
  source: AsyncIterable<Uint8Array | undefined>,
  name: string,
): AsyncGenerator<string | undefined, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = new Uint8Array();
  let position = 0;
  const decode = (bytes: Uint8Array): string => {
    const text = tryDecode(decoder, bytes);
    if (text === undefined) throw invalidByte(bytes, validPrefix(bytes), name, position);
    const isStart = position === 0 && text.startsWith("\ufeff");
    position += bytes.length;
    return isStart ? text.slice(1) : text;
  };
  for await (const chunk of source) {
    if (chunk === undefined) {
      yield undefined;
      continue;
    }
    const bytes = new Uint8Array(rest.length + chunk.length);
    bytes.set(rest);
    bytes.set(chunk, rest.length);
    const whole = bytes.length - unfinished(bytes);
    rest = bytes.slice(whole);
    const text = whole === 0 ? "" : decode(bytes.subarray(0, whole));
    if (text !== "") yield text;
  }
  if (rest.length > 0) yield decode(rest);
}

function tryDecode(decoder: TextDecoder, bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes at the end that begin a character, and are not all of it. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? back : 0;
    }
    if (byte < 0x80) return 0;
  }
  return 0;
}
