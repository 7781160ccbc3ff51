/** Which tensors of a file a model is made of. */

import type { ModelConfig } from "../config/config.ts";
import { EMBEDDING_NAMES, type WeightSpec, weightSpecs } from "./weight_specs.ts";
import { type QuantizedDType, quantizedRowSizes } from "./quantize.ts";
import { mixerOf } from "../mixers/mixers.ts";

/** What a file says of one of its tensors. */
export interface StoredTensor {
  /** The full name, as in the file. */
  readonly name: string;
  /** The element type, as safetensors calls it. */
  readonly dtype: string;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Elements times element size. */
  readonly sizeBytes: number;
}

/** A file, as far as its header says what it holds. */
export interface StoredTensors<Stored extends StoredTensor = StoredTensor> {
  /** What messages call it. */
  readonly name: string;
  /** All tensors, in the order of the file. */
  readonly tensors: ReadonlyMap<string, Stored>;
}

/** What a tensor of a file is of the model's: all of it, or one part of a quantized matrix. */
export type WeightPart = "values" | "codes" | "scales";

/** A tensor of the file, and what it is of the model's tensor. */
export interface Found<Stored extends StoredTensor = StoredTensor> {
  readonly spec: WeightSpec;
  readonly info: Stored;
  readonly part: WeightPart;
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
  readonly part: WeightPart;
  /** Undefined where any type of number will do. */
  readonly dtype?: string;
}

/**
 * Finds the model's tensors in a file, by any of their names, and checks their shapes.
 *
 * @returns The tensors in the order of the file, so that a source that only streams forward can serve them.
 * @throws {TypeError} If one is missing, has another shape, or the file holds one that is not part of the model.
 */
export function matchTensors<Stored extends StoredTensor>(
  config: ModelConfig,
  file: StoredTensors<Stored>,
  form: StoredForm,
): Found<Stored>[] {
  const { prefix } = form;
  const all = weightSpecs(config).flatMap((spec) => wantedTensors(spec, form.quantized));
  const byName = new Map<string, Wanted>();
  for (const wanted of all) {
    for (const name of wanted.names) byName.set(prefix + name, wanted);
  }
  const found: Found<Stored>[] = [];
  const seen = new Map<Wanted, string>();
  for (const info of file.tensors.values()) {
    if (!info.name.startsWith(prefix)) continue;
    const wanted = byName.get(info.name);
    if (wanted === undefined) {
      // Trainers count steps and averages beside the model; a single number is a weight of none.
      if (info.shape.length === 0) continue;
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
export function embeddingRows(file: StoredTensors, prefix: string): number | undefined {
  const name = EMBEDDING_NAMES.flatMap(withoutHead).find((name) => file.tensors.has(prefix + name));
  return name === undefined ? undefined : file.tensors.get(prefix + name)?.shape[0];
}

/** Whether a name is that of the head, and the head is the embedding. */
export function isTiedHead(config: ModelConfig, name: string): boolean {
  return name === "lm_head.weight" && config.head.kind === "lm" && config.head.tied;
}

function checkTensor(config: ModelConfig, { shape, dtype }: Wanted, info: StoredTensor): void {
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
