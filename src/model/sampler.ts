/** How tokens are drawn, and how executors are told so. */

/** Draws whose ids and log-probabilities the ring keeps: the longest burst. */
export const RING = 32;

/** What the ring holds instead of an id where no logit was finite. */
export const NO_TOKEN = 0xffffffff;

/** What a ring holds of the `count` draws from number `first` on: ids, and bits of log-probabilities. */
export function ringDraws(ring: Uint32Array<ArrayBuffer>, first: number, count: number): Draws {
  const floats = new Float32Array(ring.buffer, ring.byteOffset, ring.length);
  const slots = Array.from({ length: count }, (_, draw) => 2 * ((first + draw) % RING));
  return {
    ids: slots.map((slot) => ring[slot] ?? NO_TOKEN),
    logprobs: slots.map((slot) => ring[slot] === NO_TOKEN ? NaN : floats[slot + 1] ?? NaN),
  };
}

/** Tokens that one sequence drew, in order. */
export interface Draws {
  /** The tokens; {@linkcode NO_TOKEN} where no logit was finite. */
  readonly ids: readonly number[];
  /** Natural logarithm of each token's probability under the model, before sampling settings; NaN where there is none. */
  readonly logprobs: readonly number[];
}

/** How tokens are drawn. */
export interface SamplerSettings {
  /** 0 takes the likeliest token. */
  readonly temperature: number;
  /** Only the k likeliest tokens; 0 for all. */
  readonly topK: number;
  /** Only the likeliest tokens that together reach this probability; 1 for all. */
  readonly topP: number;
  /** Only tokens at least this fraction as likely as the likeliest; 0 for all. */
  readonly minP: number;
  /** Logits of tokens seen before are divided by this if positive, multiplied if negative; 1 for none. */
  readonly repetitionPenalty: number;
  /** Key of the random generator, a whole number from 0 to 2^53 - 1. */
  readonly seed: number;
}

/** Words of one sequence's settings. */
export const SETTINGS_WORDS = 8;

/**
 * Factors from here to its inverse leave logits within f32 that were within 1e8 before. Beyond, a quotient overflows or
 * a divisor is flushed to zero, and a draw would be from NaN.
 */
const SMALLEST_FACTOR = 1e-30;

function withinFactors(value: number): number {
  return Math.min(Math.max(value, SMALLEST_FACTOR), 1 / SMALLEST_FACTOR);
}

/**
 * The settings of `batch` sequences as the kernel reads them: of each five values, the seed's low and high word, and the
 * number of its random stream. Sequences that share a seed draw from streams of their own.
 */
export function encodeSettings(settings: SamplerSettings, batch = 1): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(SETTINGS_WORDS * batch);
  const floats = new Float32Array(words.buffer);
  // Far below any difference of logits, a temperature takes the likeliest token, as 0 does.
  floats[0] = settings.temperature < SMALLEST_FACTOR ? 0 : withinFactors(settings.temperature);
  words[1] = settings.topK;
  floats[2] = Math.max(settings.topP, SMALLEST_FACTOR);
  floats[3] = settings.minP;
  floats[4] = withinFactors(settings.repetitionPenalty);
  words[5] = settings.seed % 2 ** 32;
  words[6] = Math.floor(settings.seed / 2 ** 32);
  for (let b = 1; b < batch; b++) {
    words.copyWithin(b * SETTINGS_WORDS, 0, SETTINGS_WORDS - 1);
    words[b * SETTINGS_WORDS + SETTINGS_WORDS - 1] = b;
  }
  return words;
}
