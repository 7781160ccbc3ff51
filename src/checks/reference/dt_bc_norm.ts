import { at } from "./at.ts";

/** Sizes of x_proj's output: columns [dt_low, B, C]. */
export interface DtBCNormShape {
  rows: number;
  dt_rank: number;
  d_state: number;
  eps: number;
}

/** First column and number of columns of dt_low, B and C. */
export function partsOf(
  { dt_rank, d_state }: Pick<DtBCNormShape, "dt_rank" | "d_state">,
): readonly (readonly [number, number])[] {
  return [[0, dt_rank], [dt_rank, d_state], [dt_rank + d_state, d_state]];
}

/**
 * FalconMamba's norms after x_proj: v / sqrt(mean(v^2) + eps) of dt_low, of B and of C, no weights.
 *
 * @param x_dbl (rows, dt_rank + 2 d_state)
 * @returns x_dbl (rows, dt_rank + 2 d_state), rstd (rows, 3)
 */
export function dtBCNormFwd(
  x_dbl: ArrayLike<number>,
  { rows, eps, ...sizes }: DtBCNormShape,
): { x_dbl: Float64Array; rstd: Float64Array } {
  const width = sizes.dt_rank + 2 * sizes.d_state;
  const normed = new Float64Array(rows * width);
  const rstd = new Float64Array(rows * 3);
  for (let row = 0; row < rows; row++) {
    for (const [part, [first, count]] of partsOf(sizes).entries()) {
      const start = row * width + first;
      let sum = 0;
      for (let i = start; i < start + count; i++) sum += at(x_dbl, i) ** 2;
      rstd[row * 3 + part] = 1 / Math.sqrt(sum / count + eps);
      for (let i = start; i < start + count; i++) {
        normed[i] = at(x_dbl, i) * at(rstd, row * 3 + part);
      }
    }
  }
  return { x_dbl: normed, rstd };
}
