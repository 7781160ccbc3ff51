/** Which tensors of a file a model is made of. */

import type { DType } from "../io/dtype.ts";
import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { mixerOf } from "../model/mixers/mixers.ts";
import { EMBEDDING_NAMES, type WeightSpec, weightSpecs } from "../model/weight_specs.ts";
import { isQuantized, type MatrixDType } from "../model/dtype.ts";
import { type QuantizedDType, quantizedRowSizes } from "../model/quantize.ts";

/** How matrices are kept: "auto" as stored (what is neither f16 nor bf16 nor quantized becomes f32). */
export type WeightDType = "auto" | MatrixDType;

/** A tensor of the file, and what it is of the model's tensor: all of it, or one part of a quantized matrix. */
export interface Found {
  readonly spec: WeightSpec;
  readonly info: TensorInfo;
  readonly part: "values" | "codes" | "scales";
}

/** How names and types of a file are to be understood. */
export interface StoredForm {
  /** Names in the file start with this. */
  readonly prefix: string;
  /** The type of the matrices, where they are quantized. */
  readonly quantized?: QuantizedDType | undefined;
}

/** The scales of a quantized matrix are a tensor beside it, with this after its name. */
export const SCALES_SUFFIX = "_scale";

/** What the names of all but the head begin with; `transformers` leaves it out of a model saved without its head. */
const BACKBONE = "backbone.";

/** One tensor that the file must have. */
interface Wanted {
  readonly spec: WeightSpec;
  readonly names: readonly string[];
  readonly shape: readonly number[];
  readonly part: Found["part"];
  /** Undefined where any type of number will do. */
  readonly dtype?: DType;
}

/**
 * Finds the model's tensors in a file, by any of their names, and checks their shapes.
 *
 * @returns The tensors in the order of the file, so that a source that only streams forward can serve them.
 * @throws {TypeError} If one is missing, has another shape, or the file holds one that is not part of the model.
 */
export function matchTensors(config: ModelConfig, file: TensorFile, form: StoredForm): Found[] {
  const { prefix } = form;
  const all = weightSpecs(config).flatMap((spec) => wantedTensors(spec, form.quantized));
  const byName = new Map<string, Wanted>();
  for (const wanted of all) {
    for (const name of wanted.names) byName.set(prefix + name, wanted);
  }
  const found: Found[] = [];
  const seen = new Map<Wanted, string>();
  for (const info of file.tensors.values()) {
    if (!info.name.startsWith(prefix)) continue;
    const wanted = byName.get(info.name);
    if (wanted === undefined) {
      if (isTiedHead(config, info.name.slice(prefix.length))) continue;
      throw new TypeError(
        `Cannot load "${info.name}" of "${file.name}": the model that config.json describes has no such tensor`,
      );
    }
    const other = seen.get(wanted);
    if (other !== undefined) {
      throw new TypeError(
        `Cannot load "${file.name}": "${other}" and "${info.name}" are the same tensor`,
      );
    }
    seen.set(wanted, info.name);
    checkTensor(config, wanted, info);
    found.push({ spec: wanted.spec, info, part: wanted.part });
  }
  const missing = all.find((wanted) => !seen.has(wanted));
  if (missing !== undefined) {
    throw new TypeError(
      `Cannot load "${file.name}": it has no tensor "${prefix}${missing.names[0]}", ` +
        `which config.json asks for with shape [${missing.shape.join(", ")}]`,
    );
  }
  return found;
}

/** The names that a tensor has in a model with its head, and in one that was saved without. */
function withoutHead(name: string): string[] {
  return name.startsWith(BACKBONE) ? [name, name.slice(BACKBONE.length)] : [name];
}

/** A quantized matrix is two tensors: codes and scales. */
function wantedTensors(spec: WeightSpec, quantized: QuantizedDType | undefined): Wanted[] {
  const names = [spec.name, ...spec.aliases ?? []].flatMap(withoutHead);
  if (quantized === undefined || spec.kind === "vector" || spec.neverQuantized) {
    return [{ spec, names, shape: spec.shape, part: "values" }];
  }
  const [rows = 0, columns = 0] = spec.shape;
  const { groups, codeBytes } = quantizedRowSizes(columns, quantized);
  return [
    {
      spec,
      names,
      shape: [rows, codeBytes],
      part: "codes",
      dtype: quantized === "int8" ? "I8" : "U8",
    },
    {
      spec,
      names: names.map((name) => name + SCALES_SUFFIX),
      shape: [rows, groups],
      part: "scales",
      dtype: "F16",
    },
  ];
}

/** Rows of the embedding in a file, by any of its names; undefined if there is none. */
export function embeddingRows(file: TensorFile, prefix: string): number | undefined {
  const name = EMBEDDING_NAMES.flatMap(withoutHead).find((name) => file.tensors.has(prefix + name));
  return name === undefined ? undefined : file.tensors.get(prefix + name)?.shape[0];
}

/** Whether a name is that of the head, and the head is the embedding. */
export function isTiedHead(config: ModelConfig, name: string): boolean {
  return name === "lm_head.weight" && config.head.kind === "lm" && config.head.tied;
}

function checkTensor(config: ModelConfig, { shape, dtype }: Wanted, info: TensorInfo): void {
  if (info.shape.join() !== shape.join()) {
    throw new TypeError(
      `Cannot load "${info.name}": shape is [${info.shape.join(", ")}], and ` +
        `${mixerOf(config).describeSizes(config)} need [${shape.join(", ")}]`,
    );
  }
  if (dtype !== undefined && info.dtype !== dtype) {
    throw new TypeError(
      `Cannot load "${info.name}": its type is ${info.dtype}, and quantization_config needs ${dtype}`,
    );
  }
}

/**
 * The dtype that a matrix gets on the GPU.
 *
 * Matrices that are never quantized stay 16 bits wide beside quantized ones.
 *
 * @throws {TypeError} If the file's are quantized, and the dtype asked for is another.
 */
export function matrixDType(
  { spec, info, part }: Found,
  wanted: WeightDType,
  quantized?: QuantizedDType,
): MatrixDType {
  if (quantized !== undefined && wanted !== "auto" && wanted !== quantized) {
    throw new TypeError(
      `Cannot load the weights as ${wanted}: they are stored as ${quantized}. Load them with dtype "auto"`,
    );
  }
  if (part !== "values" && quantized !== undefined) return quantized;
  const stored = info.dtype === "F16" ? "f16" : info.dtype === "BF16" ? "bf16" : "f32";
  const target = wanted === "auto" ? quantized ?? stored : wanted;
  if (!isQuantized(target)) return target;
  if (!spec.neverQuantized) return target;
  return stored === "bf16" ? "bf16" : "f16";
}
