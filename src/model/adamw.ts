/** AdamW's settings that change from step to step. */

/** How fast the averages of the gradient and of its square forget. */
export interface AdamwBetas {
  readonly beta1: number;
  readonly beta2: number;
}

/** Elements of the `schedule` tensor. */
export const ADAMW_SCHEDULE_SIZE = 3;

/**
 * What the `schedule` tensor holds for one step: write it there before the step.
 *
 * @param step The number of the step, from 1: the averages start at 0, which is corrected for.
 */
export function encodeAdamwSchedule(
  step: number,
  learningRate: number,
  { beta1, beta2 }: AdamwBetas,
): Float32Array<ArrayBuffer> {
  return Float32Array.of(
    learningRate,
    1 / (1 - beta1 ** step),
    1 / Math.sqrt(1 - beta2 ** step),
  );
}
