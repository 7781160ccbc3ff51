import { silu } from "./activations.ts";
import { at } from "./at.ts";

/** Sizes and order of the gated norm. */
export interface GatedRmsNormShape {
  rows: number;
  d_inner: number;
  /** Columns that are normalized together; divides d_inner. */
  group_size: number;
  eps: number;
  /** Whether the norm comes before the gate. */
  norm_before_gate: boolean;
}

/**
 * The norm of Mamba-2, with v / sqrt(mean(v^2) + eps) taken over each group of columns:
 *
 *     gate first:  out = norm(y silu(z)) weight
 *     norm first:  out = norm(y) weight silu(z)
 *     no weight:   out = y silu(z), without a norm
 *
 * @param y (rows, d_inner)
 * @param z (rows, d_inner): the gate, before SiLU
 * @param weight (d_inner)
 * @returns (rows, d_inner)
 */
export function gatedRmsNormFwd(
  y: ArrayLike<number>,
  z: ArrayLike<number>,
  weight: ArrayLike<number> | undefined,
  { rows, d_inner, group_size, eps, norm_before_gate }: GatedRmsNormShape,
): Float64Array {
  const out = new Float64Array(rows * d_inner);
  for (let first = 0; first < rows * d_inner; first += group_size) {
    let sum = 0;
    for (let i = first; i < first + group_size; i++) {
      out[i] = at(y, i) * (norm_before_gate ? 1 : silu(at(z, i)));
      sum += at(out, i) ** 2;
    }
    const rstd = 1 / Math.sqrt(sum / group_size + eps);
    for (let i = first; i < first + group_size; i++) {
      if (weight === undefined) out[i] = at(y, i) * silu(at(z, i));
      else {
        out[i] = at(out, i) * rstd * at(weight, i % d_inner) *
          (norm_before_gate ? silu(at(z, i)) : 1);
      }
    }
  }
  return out;
}
