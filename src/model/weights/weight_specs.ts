/** Which tensors a checkpoint of a model must hold. */

import { blockHalves } from "../blocks.ts";
import type { ModelConfig } from "../config/config.ts";
import { isQuantized, matrixBytes, type MatrixDType } from "./dtype.ts";
import { logitCount } from "../ends.ts";
import { type InitialValues, normalOf, ones, uniformWithin, zeros } from "../initial_values.ts";
import { elementCount } from "../shapes.ts";

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
  /** A vector that has weight decay in training, as all matrices have. */
  readonly decays?: true;
  /**
   * What the learning rate is multiplied by in training.
   *
   * @default {1}
   */
  readonly learningRate?: number;
  /** What it begins with before training. */
  readonly initial: InitialValues;
}

const EMBEDDING = "backbone.embeddings.weight";
const EMBEDDING_ALIASES: readonly string[] = ["backbone.embedding.weight"];
const EMBEDDING_STD = 0.02;

/** The names that the table of token embeddings has in one dialect or another. */
export const EMBEDDING_NAMES: readonly string[] = [EMBEDDING, ...EMBEDDING_ALIASES];

/** Official names of the tensors of a model's two ends. */
export interface EndNames {
  /** The table of embeddings, or what vectors are multiplied by. */
  readonly input: string;
  readonly inputBias: string | undefined;
  readonly norm_f: string;
  /** The embedding's where the head is tied to it. */
  readonly head: string;
  readonly headBias: string | undefined;
}

/** What the tensors of a model's two ends are called. */
export function endNames({ input, head }: ModelConfig): EndNames {
  const isClassifier = head.kind === "classifier";
  return {
    input: input.kind === "embedding" ? EMBEDDING : "backbone.input_proj.weight",
    inputBias: input.kind === "linear" && input.bias ? "backbone.input_proj.bias" : undefined,
    norm_f: "backbone.norm_f.weight",
    head: isClassifier ? "classifier.weight" : head.tied ? EMBEDDING : "lm_head.weight",
    headBias: isClassifier && head.bias ? "classifier.bias" : undefined,
  };
}

/** Every tensor the model is made of. A tied head is the embedding, and no tensor of its own. */
export function weightSpecs(config: ModelConfig): WeightSpec[] {
  const { d_model } = config;
  const names = endNames(config);
  const specs: WeightSpec[] = [];
  const vector = (name: string, length: number, initial: InitialValues): void => {
    specs.push({ name, shape: [length], kind: "vector", initial });
  };
  specs.push(inputSpec(config));
  if (names.inputBias !== undefined) vector(names.inputBias, d_model, zeros);
  for (const { norm, prefix, part } of blockHalves(config)) {
    vector(norm, d_model, ones);
    for (const spec of part.weightSpecs(config)) {
      specs.push({ ...spec, name: prefix + spec.name });
    }
  }
  vector(names.norm_f, d_model, ones);
  if (names.head !== names.input) {
    const shape = [logitCount(config), d_model];
    specs.push({ name: names.head, shape, kind: "matrix", initial: linear(d_model) });
  }
  if (names.headBias !== undefined) vector(names.headBias, logitCount(config), zeros);
  return specs;
}

function inputSpec(config: ModelConfig): WeightSpec {
  const { d_model, input } = config;
  const { input: name } = endNames(config);
  if (input.kind === "linear") {
    const { d_input } = input;
    return { name, shape: [d_model, d_input], kind: "matrix", initial: linear(d_input) };
  }
  return {
    name,
    aliases: EMBEDDING_ALIASES,
    shape: [input.vocab_size, d_model],
    kind: "matrix",
    initial: normalOf(EMBEDDING_STD),
  };
}

/** PyTorch's default of a linear layer. */
function linear(inputs: number): InitialValues {
  return uniformWithin(1 / Math.sqrt(inputs));
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
