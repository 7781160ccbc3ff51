/** Stands in for the descriptors of weights until they are here. */

import type { ModelConfig } from "./config/config.ts";
export { weightSpecs } from "./weights.ts";
export type { WeightSpec } from "./weights.ts";

/** Official names of the tensors of a model's two ends. */
export interface EndNames {
  readonly input: string;
  readonly inputBias: string | undefined;
  readonly norm_f: string;
  readonly head: string;
  readonly headBias: string | undefined;
}

/** What the tensors of a model's two ends are called. */
export function endNames({ input, head }: ModelConfig): EndNames {
  const isClassifier = head.kind === "classifier";
  return {
    input: input.kind === "embedding" ? "backbone.embeddings.weight" : "backbone.input_proj.weight",
    inputBias: input.kind === "linear" && input.bias ? "backbone.input_proj.bias" : undefined,
    norm_f: "backbone.norm_f.weight",
    head: isClassifier
      ? "classifier.weight"
      : head.tied
      ? "backbone.embeddings.weight"
      : "lm_head.weight",
    headBias: isClassifier && head.bias ? "classifier.bias" : undefined,
  };
}
