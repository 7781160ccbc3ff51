/** The scalar functions of the Mamba block, in float64. */

/** 1 / (1 + exp(-v)). */
export function sigmoid(v: number): number {
  return 1 / (1 + Math.exp(-v));
}

/** v sigmoid(v). */
export function silu(v: number): number {
  return v * sigmoid(v);
}

/** log(1 + exp(v)), and v itself above 20, where PyTorch and the published kernels switch over. */
export function softplus(v: number): number {
  return v > 20 ? v : Math.log1p(Math.exp(v));
}
