/** What the parameters make of held-out batches, in sums: cross-entropies, and a classifier's right answers. */

import { logitCount } from "../model/ends.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { IGNORED } from "../model/training_executor.ts";

/** What an evaluation gives of its batches, as sums over their targets. */
export interface Evaluation {
  /** Sum of the cross-entropies, in nats. */
  readonly loss: number;
  /** Targets counted. */
  readonly count: number;
  /** How many a classifier got right; undefined for a language model. */
  readonly correct: number | undefined;
}

/** Cross-entropies and right answers of a classifier's logits (batch, classes). */
export function classify(
  logits: Float32Array,
  targets: Uint32Array,
  config: ModelConfig,
): { loss: number; correct: number } {
  const classes = logitCount(config);
  let loss = 0;
  let correct = 0;
  for (const [row, target] of targets.entries()) {
    if (target === IGNORED) continue;
    const values = logits.subarray(row * classes, (row + 1) * classes);
    const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = values.reduce((partial, value) => partial + Math.exp(value - largest), 0);
    loss += largest + Math.log(total) - (values[target] ?? NaN);
    if (values.indexOf(largest) === target) correct++;
  }
  return { loss, correct };
}

/** The sum in f64, in order; NaN where there is nothing to add. */
export function sum(values: Float32Array | undefined): number {
  if (values === undefined) return NaN;
  let total = 0;
  // A plain loop: the device waits while this adds up tens of thousands of losses a step.
  for (let i = 0; i < values.length; i++) total += values[i] ?? NaN;
  return total;
}
