/** How tokens are drawn: the public options, their defaults, and what is refused. */

import type { SamplerSettings } from "../model/sampler.ts";

/** Options that shape the draw of each token. */
export interface SamplingOptions {
  /**
   * 0 always takes the likeliest token; above 1 flattens the distribution.
   *
   * @default {1}
   */
  readonly temperature?: number | undefined;
  /**
   * Draws from the k likeliest tokens only; 0 is off.
   *
   * @default {0}
   */
  readonly topK?: number | undefined;
  /**
   * Draws from the likeliest tokens that together reach this probability; 1 is off.
   *
   * @default {1}
   */
  readonly topP?: number | undefined;
  /**
   * Draws from tokens at least this fraction as likely as the likeliest; 0 is off.
   *
   * @default {0}
   */
  readonly minP?: number | undefined;
  /**
   * Divides positive logits of tokens consumed before, and multiplies negative ones (Keskar et al. 2019); 1 is off.
   *
   * @default {1}
   */
  readonly repetitionPenalty?: number | undefined;
  /**
   * Key of the random generator, a whole number from 0 to 2^53 - 1: the same seed and state give the same tokens.
   *
   * @default {a random one}
   */
  readonly seed?: number | undefined;
}

/** A seed nobody chose, below 2^32 so that it is short to write down. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

/**
 * Fills in what is absent from `current`, and checks everything.
 *
 * @throws {RangeError} If a value is out of range.
 */
export function resolveSampling(
  options: SamplingOptions,
  current: SamplerSettings,
): SamplerSettings {
  const settings = {
    temperature: options.temperature ?? current.temperature,
    topK: options.topK ?? current.topK,
    topP: options.topP ?? current.topP,
    minP: options.minP ?? current.minP,
    repetitionPenalty: options.repetitionPenalty ?? current.repetitionPenalty,
    seed: options.seed ?? current.seed,
  };
  check("temperature", settings.temperature, "zero or more", (value) => value >= 0);
  check(
    "topK",
    settings.topK,
    "a whole number from 0 to 2^32 - 1",
    (value) => isWhole(value, 2 ** 32),
  );
  check("topP", settings.topP, "above 0 and at most 1", (value) => value > 0 && value <= 1);
  check("minP", settings.minP, "from 0 to 1", (value) => value >= 0 && value <= 1);
  check("repetitionPenalty", settings.repetitionPenalty, "above 0", (value) => value > 0);
  check(
    "seed",
    settings.seed,
    "a whole number from 0 to 2^53 - 1",
    (value) => isWhole(value, 2 ** 53),
  );
  return settings;
}

/** The settings of a new session. */
export function defaultSampling(): SamplerSettings {
  return { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: randomSeed() };
}

function check(
  name: string,
  value: number,
  needed: string,
  accepts: (value: number) => boolean,
): void {
  if (!Number.isFinite(value) || !accepts(value)) {
    throw new RangeError(`Cannot draw tokens: ${name} is ${value}, and it must be ${needed}`);
  }
}

function isWhole(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end;
}
