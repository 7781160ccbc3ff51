import { silu } from "./activations.ts";
import { siluDerivative } from "./activations_bwd.ts";
import { at } from "./at.ts";
import type { GatedRmsNormShape } from "./gated_rms_norm.ts";

/**
 * Backward of gatedRmsNormFwd(). With v what the norm is taken of and r the gradient of its result
 * before the weight is multiplied in, for each group of columns:
 *
 *     grad_v[i]       = rstd (r[i] weight[i] - v[i] rstd^2 mean(r weight v))
 *     grad_weight[i] += r[i] v[i] rstd
 *
 * Gate first: v = y silu(z), r = grad_out; y and z share v's gradient. Norm first: v = y,
 * r = grad_out silu(z), and z has the gradient of a factor.
 *
 * @param grad_out (rows, d_inner)
 */
export function gatedRmsNormBwd(
  y: ArrayLike<number>,
  z: ArrayLike<number>,
  weight: ArrayLike<number> | undefined,
  grad_out: ArrayLike<number>,
  { rows, d_inner, group_size, eps, norm_before_gate }: GatedRmsNormShape,
): { grad_y: Float64Array; grad_z: Float64Array; grad_weight: Float64Array | undefined } {
  const grad_y = new Float64Array(rows * d_inner);
  const grad_z = new Float64Array(rows * d_inner);
  if (weight === undefined) {
    for (let i = 0; i < rows * d_inner; i++) {
      grad_y[i] = at(grad_out, i) * silu(at(z, i));
      grad_z[i] = at(grad_out, i) * at(y, i) * siluDerivative(at(z, i));
    }
    return { grad_y, grad_z, grad_weight: undefined };
  }
  const grad_weight = new Float64Array(d_inner);
  for (let first = 0; first < rows * d_inner; first += group_size) {
    const gate = (i: number) => silu(at(z, i));
    const v = (i: number) => at(y, i) * (norm_before_gate ? 1 : gate(i));
    const r = (i: number) => at(grad_out, i) * (norm_before_gate ? gate(i) : 1);
    let [squares, products] = [0, 0];
    for (let i = first; i < first + group_size; i++) {
      squares += v(i) ** 2;
      products += r(i) * at(weight, i % d_inner) * v(i);
    }
    const rstd = 1 / Math.sqrt(squares / group_size + eps);
    const pull = rstd ** 2 * products / group_size;
    for (let i = first; i < first + group_size; i++) {
      const w = at(weight, i % d_inner);
      const grad_v = rstd * (r(i) * w - v(i) * pull);
      grad_y[i] = grad_v * (norm_before_gate ? 1 : gate(i));
      const grad_gate = norm_before_gate ? at(grad_out, i) * v(i) * rstd * w : grad_v * at(y, i);
      grad_z[i] = grad_gate * siluDerivative(at(z, i));
      grad_weight[i % d_inner] = at(grad_weight, i % d_inner) + r(i) * v(i) * rstd;
    }
  }
  return { grad_y, grad_z, grad_weight };
}
