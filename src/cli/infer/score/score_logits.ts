/** How likely a token was, from logits on the host. */

/**
 * Scores one token by the logits of the step before it, in f64.
 *
 * @param logits One row, without padding ids.
 * @param id The token that came.
 * @returns Its log-probability in nats, how many tokens were likelier (of equals, the lower id is), and
 * the entropy of the whole distribution in nats.
 */
export function scoreLogits(
  logits: Float32Array,
  id: number,
): { logprob: number; rank: number; entropy: number } {
  const own = logits[id] ?? -Infinity;
  let max = -Infinity;
  for (const logit of logits) max = Math.max(max, logit);
  let sum = 0, weighted = 0, rank = 0;
  for (let other = 0; other < logits.length; other++) {
    const logit = logits[other] ?? -Infinity;
    const shifted = logit - max;
    const weight = Math.exp(shifted);
    sum += weight;
    if (weight > 0) weighted += weight * shifted;
    if (logit > own || (logit === own && other < id)) rank++;
  }
  const logSum = Math.log(sum);
  return { logprob: own - max - logSum, rank, entropy: logSum - weighted / sum };
}
