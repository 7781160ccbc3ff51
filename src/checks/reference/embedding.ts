import { at } from "./at.ts";

/**
 * Rows of the embedding table: y[i, :] = weight[ids[i], :].
 *
 * @param ids (rows)
 * @param weight (vocab_size, d_model)
 * @returns (rows, d_model)
 */
export function embeddingFwd(
  ids: ArrayLike<number>,
  weight: ArrayLike<number>,
  { d_model }: { d_model: number },
): Float64Array {
  const y = new Float64Array(ids.length * d_model);
  for (let i = 0; i < ids.length; i++) {
    for (let j = 0; j < d_model; j++) y[i * d_model + j] = at(weight, at(ids, i) * d_model + j);
  }
  return y;
}
