import { at } from "./at.ts";

/** Columns `start` to `end` of a matrix of `width` columns. */
export function columns(
  x: ArrayLike<number>,
  width: number,
  start: number,
  end: number,
): Float64Array {
  const span = end - start;
  return Float64Array.from(
    { length: x.length / width * span },
    (_, i) => at(x, Math.floor(i / span) * width + start + i % span),
  );
}
