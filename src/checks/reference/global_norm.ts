/** The norm of all gradients together: sqrt of the sum of their squares. */
export function globalNorm(gradients: Iterable<ArrayLike<number>>): number {
  let sum = 0;
  for (const gradient of gradients) {
    for (const value of Array.from(gradient)) sum += value * value;
  }
  return Math.sqrt(sum);
}

/** What clipping multiplies gradients by, as torch.nn.utils.clip_grad_norm_ does. */
export function clipFactor(norm: number, maxNorm: number): number {
  return Math.min(1, maxNorm / (norm + 1e-6));
}
