/** Training series changed at random, anew each epoch: as the same thing might have been measured another time. */

import { foldIn, normal, randomAt, type RandomKey, randomKey } from "../model/random.ts";
import type { Draw } from "./batches.ts";

/** What may happen to a training series. With 0, a change does not happen. */
export interface SeriesAugmentation {
  /** Standard deviation of noise that is added to each value, as a share of that of all values. */
  readonly jitter: number;
  /** Largest change of its height, as a share of it. */
  readonly scale: number;
  /** Largest change of its length about its middle, as a share of it. */
  readonly stretch: number;
  /** Largest move in time, in values. What comes in from outside is the value at that end. */
  readonly shift: number;
  /** Largest slope that is added: at the ends, as a share of the standard deviation of all values. */
  readonly tilt: number;
  /** Largest part of another series of its class that it is mixed with, to 0.5. */
  readonly mix: number;
  /** Largest move in time, in values, where what leaves at one end comes in at the other. */
  readonly roll: number;
}

/** No change. */
export const UNCHANGED: SeriesAugmentation = {
  ...{ jitter: 0, scale: 0, stretch: 0, shift: 0, tilt: 0, mix: 0, roll: 0 },
};

/** Numbers that a series draws: one of these each. */
const DRAWN = { scale: 0, stretch: 1, shift: 2, tilt: 3, mix: 4, other: 5, roll: 6 } as const;

/** Standardized series, and their classes. */
export interface LabelledSeries {
  /** Values of each. */
  readonly length: number;
  /** The values of one. */
  row(index: number): Float32Array;
  /** Class of each, (count). */
  readonly labels: Uint32Array;
}

/**
 * Copies a series, changed by what is drawn for it in that epoch.
 *
 * @param series The training series, standardized.
 * @param augmentation What may happen to them.
 * @param seed Of all that is drawn.
 */
export function seriesCopier(
  { length, row, labels }: LabelledSeries,
  augmentation: SeriesAugmentation,
  seed: number,
): (draw: Draw, to: Float32Array) => void {
  const { jitter, tilt, mix } = augmentation;
  const key = randomKey(seed, "changes of series");
  const sameClass = Map.groupBy(labels.keys(), (index) => labels[index] ?? 0);
  return ({ example, epoch }, to) => {
    const own = foldIn(foldIn(key, epoch), example);
    const others = sameClass.get(labels[example] ?? 0) ?? [];
    const other = others[Math.floor(randomAt(own, DRAWN.other) * others.length)] ?? example;
    const part = mix * randomAt(own, DRAWN.mix);
    const read = placement(own, augmentation, length);
    const noise = jitter > 0 ? normal(foldIn(own, 0), length, jitter) : undefined;
    const slope = tilt * signed(own, DRAWN.tilt);
    const height = 1 + augmentation.scale * signed(own, DRAWN.scale);
    const first = row(example), second = part === 0 ? first : row(other);
    for (let t = 0; t < length; t++) {
      const value = (1 - part) * read(first, t) + (part === 0 ? 0 : part * read(second, t));
      const ramp = length > 1 ? slope * (2 * t / (length - 1) - 1) : 0;
      to[t] = height * value + ramp + (noise?.[t] ?? 0);
    }
  };
}

/** Where in a series the value at a time comes from: between its two nearest. */
function placement(
  own: RandomKey,
  { stretch, shift, roll }: SeriesAugmentation,
  length: number,
): (series: Float32Array, t: number) => number {
  const pace = 1 + stretch * signed(own, DRAWN.stretch);
  const moved = shift * signed(own, DRAWN.shift);
  const rolled = Math.round(roll * signed(own, DRAWN.roll));
  const middle = (length - 1) / 2;
  return (series, t) => {
    const turned = ((t + rolled) % length + length) % length;
    const from = Math.max(0, Math.min(length - 1, middle + (turned - middle) * pace + moved));
    const before = Math.floor(from), late = from - before;
    const value = series[before] ?? 0;
    return late === 0 ? value : (1 - late) * value + late * (series[before + 1] ?? 0);
  };
}

/** Uniform in [-1, 1). */
function signed(own: RandomKey, index: number): number {
  return 2 * randomAt(own, index) - 1;
}
