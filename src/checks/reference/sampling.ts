import { at } from "./at.ts";
import { logSoftmax } from "./token_score.ts";

/** The filters, each off when absent. */
export interface SamplingSettings {
  /** 0 is greedy: all the mass on the largest logit, the lowest id of equals. Default 1. */
  temperature?: number;
  /** Keeps the k largest logits, and any equal to the k-th. 0 is off. */
  topK?: number;
  /** Keeps the smallest set of the most likely tokens whose mass reaches p. 1 is off. */
  topP?: number;
  /** Keeps tokens at least this fraction as likely as the most likely one. 0 is off. */
  minP?: number;
  /** Divides the positive logits of seen tokens, multiplies the negative ones. 1 is off. */
  repetitionPenalty?: number;
}

/**
 * The distribution that the next token is drawn from, with the filters in the order of Hugging
 * Face: repetition penalty, temperature, top-k, top-p, min-p. Each later filter sees the
 * distribution that the earlier ones left, renormalized.
 *
 * @param logits (vocab_size), padding rows included
 * @param seen Ids of the context, in any order and any number: each is penalized once
 * @param realVocabSize Ids from here on are padding and have probability 0
 * @returns (vocab_size) probabilities, summing to 1
 */
export function sampleDistribution(
  logits: ArrayLike<number>,
  seen: Iterable<number>,
  settings: SamplingSettings,
  realVocabSize: number,
): Float64Array {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = settings;
  const scores = Float64Array.from(logits).fill(-Infinity, realVocabSize);
  for (const id of new Set(seen)) {
    const score = at(scores, id);
    scores[id] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
  }
  if (temperature === 0) {
    const best = at(byLikelihood(scores), 0);
    return new Float64Array(scores.length).fill(1, best, best + 1);
  }
  for (let id = 0; id < scores.length; id++) scores[id] = at(scores, id) / temperature;

  if (topK > 0) {
    const order = byLikelihood(scores);
    const least = at(scores, at(order, Math.min(topK, order.length) - 1));
    keep(scores, (id) => at(scores, id) >= least);
  }
  if (topP < 1) {
    const probabilities = logSoftmax(scores).map(Math.exp);
    const kept = new Set<number>();
    let mass = 0;
    for (const id of byLikelihood(scores)) {
      kept.add(id); // before the test: the token that crosses p is kept, and so at least one is
      mass += at(probabilities, id);
      if (mass >= topP) break;
    }
    keep(scores, (id) => kept.has(id));
  }
  if (minP > 0) {
    const probabilities = logSoftmax(scores).map(Math.exp);
    const least = minP * Math.max(...probabilities);
    keep(scores, (id) => at(probabilities, id) >= least);
  }
  return logSoftmax(scores).map(Math.exp);
}

/** Ids from the largest score down, equal ones by lower id. */
function byLikelihood(scores: Float64Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => at(scores, b) - at(scores, a) || a - b);
}

function keep(scores: Float64Array, test: (id: number) => boolean): void {
  const dropped = Array.from(scores.keys()).filter((id) => !test(id));
  for (const id of dropped) scores[id] = -Infinity;
}
