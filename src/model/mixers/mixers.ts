/** The mixers that there are: one line each. */

import type { ModelConfig } from "../config/config.ts";
import { mamba1 } from "./mamba1.ts";
import { mamba2 } from "./mamba2.ts";
import { mamba3 } from "./mamba3.ts";
import { s4 } from "./s4.ts";
import { s4d } from "./s4d.ts";
import type { Mixer, ModelFamily } from "./mixer.ts";

const MIXERS: Mixer[] = [
  mamba1,
  mamba2,
  mamba3,
  s4d,
  s4,
];

/** All of them. */
export function mixers(): readonly Mixer[] {
  return MIXERS;
}

/** Adds one that is not of this package; executors need their side of it, too. */
export function registerMixer(mixer: Mixer): void {
  MIXERS.push(mixer);
}

/** A family of models, and the mixer that they have. */
export interface FamilyOfMixer {
  readonly family: ModelFamily;
  readonly mixer: Mixer;
}

/** All families: first what is mostly meant by each mixer, then the relatives. */
export function families(): FamilyOfMixer[] {
  const all = MIXERS.map((mixer) => mixer.families.map((family) => ({ family, mixer })));
  return [...all.flatMap(([first]) => first ?? []), ...all.flatMap(([, ...others]) => others)];
}

/**
 * The family of a model, and its mixer.
 *
 * @throws {TypeError} If no mixer is registered for it.
 */
export function familyOf({ model_type }: Pick<ModelConfig, "model_type">): FamilyOfMixer {
  const found = families().find(({ family }) => family.model_type === model_type);
  if (found === undefined) {
    throw new TypeError(`Cannot find the mixer of "${model_type}": none is registered for it`);
  }
  return found;
}

/** The mixer of a model. */
export function mixerOf(config: Pick<ModelConfig, "model_type">): Mixer {
  return familyOf(config).mixer;
}
