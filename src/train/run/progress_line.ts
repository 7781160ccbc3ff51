/** The line that says how a run is doing. */

/** What the line shows. */
export interface ProgressNumbers {
  /** Steps done. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Mean loss of the step, in nats. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly learningRate: number;
  /** Norm of the whole gradient, before clipping. */
  readonly gradientNorm: number;
  /** Time of a step, in milliseconds; the mean of the latest ones moves less. Without it no time left is shown. */
  readonly stepMs: number | undefined;
  /** Steps of the sequences, or tokens, in a training step. */
  readonly tokensPerStep: number;
}

/**
 * Writes the line, such as
 * `step 120/1000 | loss 3.2187 | lr 6.0e-4 | norm 0.91 | 41.2 ms | 12430 tok/s | 3 min left`.
 */
export function progressLine(numbers: ProgressNumbers): string {
  const { step, steps, loss, learningRate, gradientNorm, stepMs, tokensPerStep } = numbers;
  const parts = [
    `step ${step}/${steps}`,
    `loss ${loss.toFixed(4)}`,
    `lr ${learningRate.toExponential(1)}`,
    `norm ${gradientNorm.toFixed(2)}`,
  ];
  if (stepMs !== undefined && stepMs > 0 && Number.isFinite(stepMs)) {
    parts.push(`${stepMs.toFixed(1)} ms`, `${Math.round(tokensPerStep / stepMs * 1000)} tok/s`);
    if (step < steps) parts.push(`${timeLeft((steps - step) * stepMs)} left`);
  }
  return parts.join(" | ");
}

/** In the one or two units that matter: "42 s", "3 min", "1 h 12 min". */
function timeLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
