/** The learning rate as a function of the step: warm-up, then a cosine down to a minimum, or constant. */

import { SettingError } from "./setting_error.ts";

/** How the learning rate moves. */
export interface Schedule {
  /** What follows the warm-up. */
  readonly kind: "cosine" | "constant";
  /** The highest learning rate, reached after the warm-up. */
  readonly learningRate: number;
  /** Where the cosine ends; at most `learningRate`. A constant schedule ignores it. */
  readonly minimumLearningRate: number;
  /** Steps over which the rate rises linearly; 0 for none. */
  readonly warmupSteps: number;
  /** Steps of the whole run: the cosine reaches its minimum at the last one. */
  readonly steps: number;
}

/**
 * The learning rate of one step.
 *
 * Warm-up step w of W has rate x (w + 1) / W. A step past the end keeps the last rate.
 *
 * @param schedule How the rate moves.
 * @param step Counted from 0.
 */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { kind, learningRate, minimumLearningRate, warmupSteps, steps } = schedule;
  if (step < warmupSteps) return learningRate * (step + 1) / warmupSteps;
  switch (kind) {
    case "constant":
      return learningRate;
    case "cosine": {
      const length = Math.max(1, steps - 1 - warmupSteps);
      const progress = Math.min(1, (step - warmupSteps) / length);
      const height = 0.5 * (1 + Math.cos(Math.PI * progress));
      return minimumLearningRate + (learningRate - minimumLearningRate) * height;
    }
    default:
      throw new TypeError(`Cannot schedule the learning rate: "${kind satisfies never}"`);
  }
}

/**
 * Refuses a schedule that no run can follow.
 *
 * @throws {SettingError} If a rate is not a positive number, the minimum is above the rate, or a number of steps is not
 * whole.
 */
export function checkSchedule(schedule: Schedule): void {
  const { learningRate, minimumLearningRate, warmupSteps, steps } = schedule;
  const fail = (detail: string) => {
    throw new SettingError(`Cannot schedule the learning rate: ${detail}`);
  };
  if (!(learningRate > 0) || !Number.isFinite(learningRate)) {
    fail(`learningRate is ${learningRate}, expected a number above 0`);
  }
  if (!(minimumLearningRate >= 0) || minimumLearningRate > learningRate) {
    fail(`minimumLearningRate is ${minimumLearningRate}, expected 0 to ${learningRate}`);
  }
  if (!Number.isSafeInteger(steps) || steps < 1) {
    fail(`steps is ${steps}, expected a whole number from 1`);
  }
  if (!Number.isSafeInteger(warmupSteps) || warmupSteps < 0 || warmupSteps > steps) {
    fail(`warmupSteps is ${warmupSteps}, expected a whole number from 0 to ${steps}`);
  }
}
