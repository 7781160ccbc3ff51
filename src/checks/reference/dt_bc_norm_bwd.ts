import { at } from "./at.ts";
import { dtBCNormFwd, type DtBCNormShape, partsOf } from "./dt_bc_norm.ts";

/**
 * Backward of dtBCNormFwd(), for each part with its result v: grad_x = rstd (grad_v - v mean(grad_v v)).
 *
 * @param x_dbl What the forward was given
 * @param grad_normed (rows, dt_rank + 2 d_state): of its result
 */
export function dtBCNormBwd(
  x_dbl: ArrayLike<number>,
  grad_normed: ArrayLike<number>,
  shape: DtBCNormShape,
): { grad_x_dbl: Float64Array } {
  const { x_dbl: normed, rstd } = dtBCNormFwd(x_dbl, shape);
  const width = shape.dt_rank + 2 * shape.d_state;
  const grad_x_dbl = new Float64Array(shape.rows * width);
  for (let row = 0; row < shape.rows; row++) {
    for (const [part, [first, count]] of partsOf(shape).entries()) {
      const start = row * width + first;
      let sum = 0;
      for (let i = start; i < start + count; i++) sum += at(grad_normed, i) * at(normed, i);
      for (let i = start; i < start + count; i++) {
        grad_x_dbl[i] = at(rstd, row * 3 + part) *
          (at(grad_normed, i) - at(normed, i) * sum / count);
      }
    }
  }
  return { grad_x_dbl };
}
