/** Products of each channel's own matrix with the columns of a panel, in float64: see src/model/s4_sizes.ts for what these are. */

import { at } from "./at.ts";

interface Panel {
  readonly ldBatch: number;
  readonly ldChunk: number;
  readonly offset?: number;
  readonly limit: number;
}

interface Columns {
  readonly batch: number;
  readonly chunks: number;
  readonly d_model: number;
}

/** The row of the tensor where row k of a column lies; undefined where the panel has none. */
export function panelRow(
  { ldBatch, ldChunk, offset = 0, limit }: Panel,
  [b, chunk]: readonly [number, number],
  k: number,
): number | undefined {
  const row = offset + chunk * ldChunk + k;
  return row < limit ? b * ldBatch + row : undefined;
}

/** All columns, as sequence and chunk. */
function columnsOf({ batch, chunks }: Columns): (readonly [number, number])[] {
  return Array.from({ length: batch * chunks }, (_, c) =>
    [
      Math.floor(c / chunks),
      c % chunks,
    ] as const);
}

/** An element of a panel, zero where it has none. */
function element(
  x: ArrayLike<number>,
  panel: Panel,
  column: readonly [number, number],
  [k, d, d_model]: readonly [number, number, number],
): number {
  const row = panelRow(panel, column, k);
  return row === undefined ? 0 : at(x, row * d_model + d);
}

/** What y is after W x was put, or added, there. W[i, k] of channel d is `weight(i, k, d)`. */
export function channelMatmul(
  x: ArrayLike<number>,
  weight: (i: number, k: number, d: number) => number,
  before: ArrayLike<number>,
  shape: Columns & {
    readonly outer: number;
    readonly inner: number;
    readonly x: Panel;
    readonly y: Panel;
    readonly accumulate: boolean;
  },
): Float64Array {
  const { outer, inner, d_model, accumulate } = shape;
  const y = Float64Array.from(before);
  for (const column of columnsOf(shape)) {
    for (let i = 0; i < outer; i++) {
      const row = panelRow(shape.y, column, i);
      for (let d = 0; row !== undefined && d < d_model; d++) {
        let sum = accumulate ? at(before, row * d_model + d) : 0;
        for (let k = 0; k < inner; k++) {
          sum += weight(i, k, d) * element(x, shape.x, column, [k, d, d_model]);
        }
        y[row * d_model + d] = sum;
      }
    }
  }
  return y;
}

/** Products of rows of p with rows of q, added up over all columns: (outer, inner, d_model). */
export function channelOuter(
  p: ArrayLike<number>,
  q: ArrayLike<number>,
  shape: Columns & {
    readonly outer: number;
    readonly inner: number;
    readonly p: Panel;
    readonly q: Panel;
  },
): Float64Array {
  const { outer, inner, d_model } = shape;
  const y = new Float64Array(outer * inner * d_model);
  for (const column of columnsOf(shape)) {
    for (let i = 0; i < outer; i++) {
      for (let k = 0; k < inner; k++) {
        for (let d = 0; d < d_model; d++) {
          const index = (i * inner + k) * d_model + d;
          y[index] = at(y, index) + element(p, shape.p, column, [i, d, d_model]) *
              element(q, shape.q, column, [k, d, d_model]);
        }
      }
    }
  }
  return y;
}

/** The same by lags alone, (rows, d_model): row t of p with row t - l of q. */
export function channelCorrelate(
  p: ArrayLike<number>,
  q: ArrayLike<number>,
  { rows, panel, ...columns }: Columns & { readonly rows: number; readonly panel: Panel },
): Float64Array {
  const { d_model } = columns;
  const y = new Float64Array(rows * d_model);
  const all = channelOuter(p, q, { ...columns, outer: rows, inner: rows, p: panel, q: panel });
  for (let t = 0; t < rows; t++) {
    for (let k = 0; k <= t; k++) {
      for (let d = 0; d < d_model; d++) {
        const index = (t - k) * d_model + d;
        y[index] = at(y, index) + at(all, (t * rows + k) * d_model + d);
      }
    }
  }
  return y;
}
