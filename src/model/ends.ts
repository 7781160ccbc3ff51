/** Sizes of a model's two ends. */

import type { ModelConfig } from "./config/config.ts";

/** Numbers that one step takes: an id, or a vector's. */
export function inputWidth({ input }: ModelConfig): number {
  return input.kind === "linear" ? input.d_input : 1;
}

/** Number of logits a step gives. */
export function logitCount({ head }: ModelConfig): number {
  return head.kind === "lm" ? head.vocab_size : head.n_classes;
}

/** Whether the head reads the running mean of all steps. */
export function poolsMean({ head }: ModelConfig): boolean {
  return head.kind === "classifier" && head.pool === "mean";
}
