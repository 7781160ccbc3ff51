/** What loading does: where each tensor of a model lies in a checkpoint, and what becomes of it. */

import type { ModelConfig } from "../config/config.ts";
import { isQuantized, matrixBytes, type MatrixDType } from "./dtype.ts";
import {
  type Found,
  isTiedHead,
  matchTensors,
  type StoredForm,
  type StoredTensor,
  type StoredTensors,
  type WeightPart,
} from "./match_tensors.ts";
import type { QuantizedDType } from "./quantize.ts";
import { elementCount } from "../shapes.ts";
import type { WeightSpec } from "./weight_specs.ts";

/** How matrices are kept: "auto" as stored (what is neither f16 nor bf16 nor quantized becomes f32). */
export type WeightDType = "auto" | MatrixDType;

/** One weight of the model, as an executor is to keep it. */
export interface PlannedWeight {
  readonly spec: WeightSpec;
  /** Type of the elements; f32 for every vector. It may differ from matrix to matrix. */
  readonly dtype: MatrixDType;
  /** Bytes that it takes: see {@linkcode matrixBytes}. */
  readonly sizeBytes: number;
}

/** One tensor of the checkpoint, and the weight that it becomes, or becomes a part of. */
export interface PlannedTensor<Stored extends StoredTensor = StoredTensor> {
  readonly stored: Stored;
  readonly weight: PlannedWeight;
  /** Which part of the weight it is: all its values, or its codes or scales where it is stored quantized. */
  readonly part: WeightPart;
  /** What is done to its elements: nothing, rounding to another type of float, or quantizing. */
  readonly transform: "none" | "convert" | "quantize";
}

/** All that loading does, known before a byte of a weight is read. */
export interface LoadPlan<Stored extends StoredTensor = StoredTensor> {
  /** The file, as messages call it. */
  readonly name: string;
  readonly config: ModelConfig;
  /** Every weight of the model, once. */
  readonly weights: readonly PlannedWeight[];
  /** What is read, in the order of the file, so that a source that only streams forward can serve it. */
  readonly tensors: readonly PlannedTensor<Stored>[];
  /** A head of the file's own beside a config that ties it to the embedding: it must be the same numbers. */
  readonly tiedHead: Stored | undefined;
  /** Bytes of all weights. */
  readonly weightBytes: number;
  /** Bytes of all tensors that are read. */
  readonly storedBytes: number;
}

/** What a plan depends on beside config and file. */
export interface PlanOptions extends StoredForm {
  /** What the matrices are to become. */
  readonly dtype: WeightDType;
}

/**
 * Plans how a file becomes a model's weights.
 *
 * @throws {TypeError} If the file does not hold the model that the config describes, or holds it quantized to another
 * type than the one asked for.
 */
export function planLoad<Stored extends StoredTensor>(
  config: ModelConfig,
  file: StoredTensors<Stored>,
  options: PlanOptions,
): LoadPlan<Stored> {
  const weights = new Map<WeightSpec, PlannedWeight>();
  const tensors = matchTensors(config, file, options).map((found): PlannedTensor<Stored> => {
    const weight = weights.get(found.spec) ?? planWeight(found, options);
    weights.set(found.spec, weight);
    const { info, part } = found;
    return { stored: info, weight, part, transform: transformOf(found, weight.dtype) };
  });
  return {
    name: file.name,
    config,
    weights: [...weights.values()],
    tensors,
    tiedHead: isTiedHead(config, "lm_head.weight")
      ? file.tensors.get(`${options.prefix}lm_head.weight`)
      : undefined,
    weightBytes: sumOf([...weights.values()]),
    storedBytes: sumOf(tensors.map(({ stored }) => stored)),
  };
}

function planWeight(found: Found, { dtype: wanted, quantized }: PlanOptions): PlannedWeight {
  const { spec } = found;
  if (spec.kind === "vector") {
    return { spec, dtype: "f32", sizeBytes: elementCount(spec.shape) * 4 };
  }
  const [rows = 0, columns = 0] = spec.shape;
  const dtype = matrixDType(found, wanted, quantized);
  return { spec, dtype, sizeBytes: matrixBytes([rows, columns], dtype) };
}

/** Matrices that are never quantized stay 16 bits wide beside quantized ones. */
function matrixDType(
  { spec, info, part }: Found,
  wanted: WeightDType,
  quantized: QuantizedDType | undefined,
): MatrixDType {
  if (quantized !== undefined && wanted !== "auto" && wanted !== quantized) {
    throw new TypeError(
      `Cannot load the weights as ${wanted}: they are stored as ${quantized}. Load them with dtype "auto"`,
    );
  }
  if (part !== "values" && quantized !== undefined) return quantized;
  const stored = info.dtype === "F16" ? "f16" : info.dtype === "BF16" ? "bf16" : "f32";
  const target = wanted === "auto" ? quantized ?? stored : wanted;
  if (!isQuantized(target) || !spec.neverQuantized) return target;
  return stored === "bf16" ? "bf16" : "f16";
}

function transformOf({ info, part }: Found, dtype: MatrixDType): PlannedTensor["transform"] {
  if (part !== "values" || info.dtype === dtype.toUpperCase()) return "none";
  return isQuantized(dtype) ? "quantize" : "convert";
}

function sumOf(parts: readonly { readonly sizeBytes: number }[]): number {
  return parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
