import { at } from "./at.ts";

/** log(softmax(logits)), one row. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const max = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const logSum = max + Math.log(values.reduce((sum, v) => sum + Math.exp(v - max), 0));
  return values.map((v) => v - logSum);
}

/**
 * How well one row of logits foresaw `target`.
 *
 * @returns `logprob` of the target in nats; `rank`: how many ids come before it, by larger logit,
 * equal ones by lower id, so 0 is the best; `entropy` of the distribution in nats
 */
export function tokenScore(
  logits: ArrayLike<number>,
  target: number,
): { logprob: number; rank: number; entropy: number } {
  const logprobs = logSoftmax(logits);
  const own = at(logits, target);
  let rank = 0;
  let entropy = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = at(logits, id);
    if (logit > own || (logit === own && id < target)) rank++;
    const logprob = at(logprobs, id);
    if (logprob > -Infinity) entropy -= Math.exp(logprob) * logprob;
  }
  return { logprob: at(logprobs, target), rank, entropy };
}
