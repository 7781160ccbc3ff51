/** What a benchmark prints: named figures, the device among them. */

/** One line of a benchmark's output. */
export interface Result {
  /** The benchmark. */
  readonly bench: string;
  /** What the device calls itself. */
  readonly device: string;
  readonly [figure: string]: unknown;
}

/** A figure with no more digits than it deserves. */
export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
