import { at } from "./at.ts";

/**
 * Backward of embeddingFwd(): row v of the gradient is the sum of grad_y's rows where the id is v.
 *
 * @param ids (rows)
 * @param grad_y (rows, d_model)
 * @returns (vocab_size, d_model)
 */
export function embeddingBwd(
  ids: ArrayLike<number>,
  grad_y: ArrayLike<number>,
  { vocab_size, d_model }: { vocab_size: number; d_model: number },
): Float64Array {
  const grad_weight = new Float64Array(vocab_size * d_model);
  for (let i = 0; i < ids.length; i++) {
    for (let j = 0; j < d_model; j++) {
      const k = at(ids, i) * d_model + j;
      grad_weight[k] = at(grad_weight, k) + at(grad_y, i * d_model + j);
    }
  }
  return grad_weight;
}
