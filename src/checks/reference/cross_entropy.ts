import { at } from "./at.ts";
import { logSoftmax } from "./token_score.ts";

/**
 * Cross-entropy of a softmax, in nats, and its gradient: for each row,
 * loss = -wanted . log softmax(logits) and grad_logits = factor (softmax(logits) - wanted), where
 * wanted = (1 - smoothing) onehot(target) + smoothing / columns.
 *
 * @param logits (rows, columns)
 * @param targets (rows): column numbers; a row of target -1 has loss 0 and gradient 0
 * @param factor Of the gradient alone: 1 / rows for the mean over all rows
 * @returns loss (rows), without the factor, and grad_logits (rows, columns)
 */
export function crossEntropy(
  logits: ArrayLike<number>,
  targets: ArrayLike<number>,
  { rows, columns }: { rows: number; columns: number },
  factor: number,
  smoothing = 0,
): { loss: Float64Array; grad_logits: Float64Array } {
  const loss = new Float64Array(rows);
  const grad_logits = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const target = at(targets, i);
    if (target === -1) continue;
    const row = Array.from({ length: columns }, (_, j) => at(logits, i * columns + j));
    const logprobs = logSoftmax(row);
    let total = 0;
    for (let j = 0; j < columns; j++) {
      const wanted = (j === target ? 1 - smoothing : 0) + smoothing / columns;
      total -= wanted === 0 ? 0 : wanted * at(logprobs, j);
      grad_logits[i * columns + j] = factor * (Math.exp(at(logprobs, j)) - wanted);
    }
    loss[i] = total;
  }
  return { loss, grad_logits };
}
