/** How tokens are drawn, and how executors are told so. */

/** Draws whose ids and log-probabilities the ring keeps: the longest burst. */
export const RING = 32;

/** What the ring holds instead of an id where no logit was finite. */
export const NO_TOKEN = 0xffffffff;

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

/** Number of words of the settings tensor. */
export const SETTINGS_WORDS = 8;

/**
 * Factors from here to its inverse leave logits within f32 that were within 1e8 before. Beyond, a quotient overflows or
 * a divisor is flushed to zero, and a draw would be from NaN.
 */
const SMALLEST_FACTOR = 1e-30;

function withinFactors(value: number): number {
  return Math.min(Math.max(value, SMALLEST_FACTOR), 1 / SMALLEST_FACTOR);
}

/** The settings as the kernel reads them: five values, then the seed's low and high word. */
export function encodeSettings(settings: SamplerSettings): Uint32Array {
  const words = new Uint32Array(SETTINGS_WORDS);
  const floats = new Float32Array(words.buffer);
  // Far below any difference of logits, a temperature takes the likeliest token, as 0 does.
  floats[0] = settings.temperature < SMALLEST_FACTOR ? 0 : withinFactors(settings.temperature);
  words[1] = settings.topK;
  floats[2] = Math.max(settings.topP, SMALLEST_FACTOR);
  floats[3] = settings.minP;
  floats[4] = withinFactors(settings.repetitionPenalty);
  words[5] = settings.seed % 2 ** 32;
  words[6] = Math.floor(settings.seed / 2 ** 32);
  return words;
}
