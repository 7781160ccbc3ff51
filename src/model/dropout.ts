/** Which elements dropout drops: the same on every executor. */

/** A seed has 53 bits: the site goes above those of its high word. */
const SEED_HIGH = 2 ** 21;

/** Places of one model that can drop with masks of their own. */
const MAX_SITES = 2 ** 11;

/** How likely elements are dropped, and by which random numbers. */
export interface DropoutSettings {
  /** Of dropping, from 0 to below 1. */
  readonly probability: number;
  /** From 0 to 2^53 - 1. */
  readonly seed: number;
  /** Tells the layers of a model apart, from 0 to 2047. */
  readonly site: number;
}

/** The same, as ops take it. */
export interface DropoutWords {
  /** Key of the random generator, u32 each. */
  readonly seed_low: number;
  readonly seed_high: number;
  /** A u32: what is drawn below it is dropped. */
  readonly threshold: number;
  /** What the others are multiplied by. */
  readonly scale: number;
}

/**
 * Encodes the settings of dropout.
 *
 * @param label What uses them: for errors.
 * @throws {RangeError} If probability, seed or site are out of range.
 */
export function dropoutWords(
  label: string,
  { probability, seed, site }: DropoutSettings,
): DropoutWords {
  if (!(probability >= 0 && probability < 1)) {
    throw new RangeError(`Cannot record ${label}: probability is ${probability}, needed [0, 1)`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`Cannot record ${label}: seed is ${seed}, needed 0 to 2^53 - 1`);
  }
  if (!Number.isInteger(site) || site < 0 || site >= MAX_SITES) {
    throw new RangeError(`Cannot record ${label}: site is ${site}, needed 0 to ${MAX_SITES - 1}`);
  }
  return {
    seed_low: seed % 2 ** 32,
    seed_high: Math.floor(seed / 2 ** 32) + site * SEED_HIGH,
    threshold: Math.floor(probability * 2 ** 32),
    scale: 1 / (1 - probability),
  };
}
