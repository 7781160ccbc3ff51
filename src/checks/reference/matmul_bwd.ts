import { at } from "./at.ts";
import type { MatmulShape } from "./matmul.ts";

/**
 * Backward of matmulFwd(): grad_x = grad_y W, grad_weight = grad_y^T x, grad_bias = grad_y summed
 * over rows. The residual's gradient is grad_y itself.
 *
 * @param x (rows, in)
 * @param weight (out, in)
 * @param grad_y (rows, out)
 * @returns grad_x (rows, in), grad_weight (out, in), grad_bias (out)
 */
export function matmulBwd(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  grad_y: ArrayLike<number>,
  shape: MatmulShape,
): { grad_x: Float64Array; grad_weight: Float64Array; grad_bias: Float64Array } {
  const grad_x = new Float64Array(shape.rows * shape.in);
  const grad_weight = new Float64Array(shape.out * shape.in);
  const grad_bias = new Float64Array(shape.out);
  for (let i = 0; i < shape.rows; i++) {
    for (let o = 0; o < shape.out; o++) {
      const grad = at(grad_y, i * shape.out + o);
      grad_bias[o] = at(grad_bias, o) + grad;
      for (let k = 0; k < shape.in; k++) {
        const [xi, wi] = [i * shape.in + k, o * shape.in + k];
        grad_x[xi] = at(grad_x, xi) + grad * at(weight, wi);
        grad_weight[wi] = at(grad_weight, wi) + grad * at(x, xi);
      }
    }
  }
  return { grad_x, grad_weight, grad_bias };
}
