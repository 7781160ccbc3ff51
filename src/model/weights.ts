/** A model's weights: which tensors a checkpoint must hold, and the same tensors on the GPU. */

import type { Tensor } from "../gpu/tensor.ts";
import { elementCount } from "./shapes.ts";
import type { Matrix } from "../ops/matrix.ts";
import { isQuantized, matrixBytes, type MatrixDType } from "./dtype.ts";
import type { ModelConfig } from "./config/config.ts";
import { type MixerWeights, mixerWeights, mixerWeightSpecs } from "../webgpu/mixer.ts";

/** One tensor that the model needs, by its official name. */
export interface WeightSpec {
  /** Official name, as state-spaces and transformers write it. */
  readonly name: string;
  /** Other names that the same tensor has in some dialect. */
  readonly aliases?: readonly string[];
  /** Shape in the checkpoint. */
  readonly shape: readonly number[];
  /** Matrices keep the checkpoint's dtype (or the one asked for); vectors and all that shapes the recurrence are f32. */
  readonly kind: "matrix" | "vector";
  /** A matrix that stays floats where others are quantized: small, and read by a kernel that takes floats alone. */
  readonly neverQuantized?: true;
}

/** Finds the GPU tensors by official name. */
export interface WeightLookup {
  matrix(name: string): Matrix;
  vector(name: string): Tensor;
}

/** The weights as the forward pass wants them. */
export interface ModelWeights {
  readonly input: { readonly weight: Matrix; readonly bias: Tensor | undefined };
  readonly layers: readonly { readonly norm: Tensor; readonly mixer: MixerWeights }[];
  readonly norm_f: Tensor;
  readonly head: { readonly weight: Matrix; readonly bias: Tensor | undefined };
}

const EMBEDDING = "backbone.embeddings.weight";
const EMBEDDING_ALIASES: readonly string[] = ["backbone.embedding.weight"];

/** The names that the table of token embeddings has in one dialect or another. */
export const EMBEDDING_NAMES: readonly string[] = [EMBEDDING, ...EMBEDDING_ALIASES];

/** Every tensor the model is made of. A tied head is the embedding, and no tensor of its own. */
export function weightSpecs(config: ModelConfig): WeightSpec[] {
  const { d_model, input, head } = config;
  const specs: WeightSpec[] = [];
  if (input.kind === "embedding") {
    specs.push({
      name: EMBEDDING,
      aliases: EMBEDDING_ALIASES,
      shape: [input.vocab_size, d_model],
      kind: "matrix",
    });
  } else {
    specs.push({
      name: "backbone.input_proj.weight",
      shape: [d_model, input.d_input],
      kind: "matrix",
    });
    if (input.bias) {
      specs.push({ name: "backbone.input_proj.bias", shape: [d_model], kind: "vector" });
    }
  }
  for (let layer = 0; layer < config.n_layer; layer++) {
    specs.push({ name: `${layerPrefix(layer)}norm.weight`, shape: [d_model], kind: "vector" });
    specs.push(...mixerWeightSpecs(config, `${layerPrefix(layer)}mixer.`));
  }
  specs.push({ name: "backbone.norm_f.weight", shape: [d_model], kind: "vector" });
  if (head.kind === "classifier") {
    specs.push({ name: "classifier.weight", shape: [head.n_classes, d_model], kind: "matrix" });
    if (head.bias) specs.push({ name: "classifier.bias", shape: [head.n_classes], kind: "vector" });
  } else if (!head.tied) {
    specs.push({ name: "lm_head.weight", shape: [head.vocab_size, d_model], kind: "matrix" });
  }
  return specs;
}

/** Numbers that the model is made of. */
export function parameterCount(config: ModelConfig): number {
  return weightSpecs(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Bytes that the model takes on the GPU with its matrices in one dtype; those never quantized are f16 beside others. */
export function weightBytes(config: ModelConfig, dtype: MatrixDType): number {
  return weightSpecs(config).reduce((sum, { shape, kind, neverQuantized }) => {
    if (kind === "vector") return sum + elementCount(shape) * 4;
    const [rows = 0, columns = 0] = shape;
    const own = neverQuantized && isQuantized(dtype) ? "f16" : dtype;
    return sum + matrixBytes([rows, columns], own);
  }, 0);
}

/** Puts the tensors where the forward pass looks for them. */
export function modelWeights(config: ModelConfig, lookup: WeightLookup): ModelWeights {
  const { input, head } = config;
  const inputName = input.kind === "embedding" ? EMBEDDING : "backbone.input_proj.weight";
  const headName = head.kind === "classifier"
    ? "classifier.weight"
    : head.tied
    ? EMBEDDING
    : "lm_head.weight";
  return {
    input: {
      weight: lookup.matrix(inputName),
      bias: input.kind === "linear" && input.bias
        ? lookup.vector("backbone.input_proj.bias")
        : undefined,
    },
    layers: Array.from({ length: config.n_layer }, (_, layer) => ({
      norm: lookup.vector(`${layerPrefix(layer)}norm.weight`),
      mixer: mixerWeights(config, `${layerPrefix(layer)}mixer.`, lookup),
    })),
    norm_f: lookup.vector("backbone.norm_f.weight"),
    head: {
      weight: lookup.matrix(headName),
      bias: head.kind === "classifier" && head.bias ? lookup.vector("classifier.bias") : undefined,
    },
  };
}

function layerPrefix(layer: number): string {
  return `backbone.layers.${layer}.`;
}
