/** Long texts in slices: a list of their characters takes many times their memory. */

/** Code units of a slice. */
const SLICE = 2 ** 16;

/** A text's slices of so many code units, none of which ends inside a character. */
export function* slices(text: string, length: number): Generator<string, void> {
  for (let begin = 0; begin < text.length;) {
    let end = Math.min(begin + length, text.length);
    const isInside = end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800;
    if (isInside) end++;
    yield text.slice(begin, end);
    begin = end;
  }
}

/** What becomes of a text where each of its characters becomes something by itself. */
export function mapSlices(text: string, map: (slice: string) => string): string {
  if (text.length <= SLICE) return map(text);
  let result = "";
  for (const slice of slices(text, SLICE)) result += map(slice);
  return result;
}
