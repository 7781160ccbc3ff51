/** Where each parameter lies in a buffer that holds all of a model: what training keeps of them is laid out alike. */

import type { ModelConfig } from "./config/config.ts";
import { MATRIX_ROW_STEP } from "./weights/dtype.ts";
import { elementCount, roundUp } from "./shapes.ts";
import type { NamedValues } from "./training_executor.ts";
import { type WeightSpec, weightSpecs } from "./weights/weight_specs.ts";

/** Where a parameter lies in the common layout. */
export interface ParameterPlace {
  readonly spec: WeightSpec;
  /** First element. */
  readonly start: number;
  /** Rows of it: a vector is one row. */
  readonly rows: number;
  readonly columns: number;
  /** Elements from row to row; what is beyond `columns` is zero and stays zero. */
  readonly stride: number;
}

/** Parameters one behind the other that follow their gradients in the same way. */
export interface ParameterRange {
  /** First element, and the one behind the last. */
  readonly start: number;
  readonly end: number;
  /** Whether they have weight decay. */
  readonly decays: boolean;
  /** What the learning rate is multiplied by. */
  readonly learningRate: number;
}

/** The layout of all parameters: those that the optimiser treats alike lie together. */
export interface ParameterLayout {
  readonly places: readonly ParameterPlace[];
  /** Elements in all, padding included. */
  readonly size: number;
  /** What the optimiser does in one each, from the first element to the last: those that decay first. */
  readonly ranges: readonly ParameterRange[];
  /** Each parameter begins at a multiple of this. */
  readonly step: number;
}

/** Decay is for matrices and convolutions; A_log, D, biases and norms keep what they learn (Gu & Dao 2023). */
function decays({ kind, decays }: WeightSpec): boolean {
  return kind === "matrix" || decays === true;
}

/**
 * Lays out the parameters of a model.
 *
 * @param step Elements of a part of the gradient's norm: each parameter has its own parts, by which the one that is not
 * finite is found.
 */
export function parameterLayout(config: ModelConfig, step: number): ParameterLayout {
  const specs = weightSpecs(config);
  const places: ParameterPlace[] = [];
  const ranges: ParameterRange[] = [];
  let size = 0;
  for (const kind of kindsOf(specs)) {
    const start = size;
    for (const spec of specs) {
      const { decays, learningRate } = kindOf(spec);
      if (decays !== kind.decays || learningRate !== kind.learningRate) continue;
      const columns = spec.kind === "matrix" ? spec.shape[1] ?? 1 : elementCount(spec.shape);
      const rows = elementCount(spec.shape) / columns;
      const stride = spec.kind === "matrix" ? roundUp(columns, MATRIX_ROW_STEP) : columns;
      places.push({ spec, start: size, rows, columns, stride });
      size = roundUp(size + rows * stride, step);
    }
    ranges.push({ ...kind, start, end: size });
  }
  return { places, size, ranges, step };
}

/** How a parameter follows its gradient. */
function kindOf(spec: WeightSpec): Pick<ParameterRange, "decays" | "learningRate"> {
  return { decays: decays(spec), learningRate: spec.learningRate ?? 1 };
}

/** The ways that there are: those that decay first, and of them those that learn fastest. */
function kindsOf(specs: readonly WeightSpec[]): Pick<ParameterRange, "decays" | "learningRate">[] {
  const kinds = new Map(specs.map(kindOf).map((kind) => [JSON.stringify(kind), kind]));
  return [...kinds.values()].sort((one, other) =>
    Number(other.decays) - Number(one.decays) || other.learningRate - one.learningRate
  );
}

/** The place of a parameter, by its official name. */
export function placeOf({ places }: ParameterLayout, name: string): ParameterPlace {
  const found = places.find(({ spec }) => spec.name === name);
  if (found === undefined) throw new RangeError(`Cannot find the parameter "${name}"`);
  return found;
}

/** Takes all parameters out of a buffer of the layout, without the padding. */
export function unpackParameters(
  { places }: ParameterLayout,
  flat: Float32Array,
): Map<string, Float32Array> {
  return new Map(places.map((place) => [place.spec.name, unpackParameter(flat, place)]));
}

function unpackParameter(flat: Float32Array, place: ParameterPlace): Float32Array {
  const { start, rows, columns, stride } = place;
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    values.set(flat.subarray(start + row * stride, start + row * stride + columns), row * columns);
  }
  return values;
}

/**
 * Puts parameters into a buffer of the layout.
 *
 * @throws {RangeError} If one is missing, or has another size.
 */
export function packParameters(
  { places, size }: ParameterLayout,
  values: NamedValues,
): Float32Array<ArrayBuffer> {
  const flat = new Float32Array(size);
  for (const place of places) {
    const found = values.get(place.spec.name);
    if (found === undefined) {
      throw new RangeError(`Cannot start training: there are no values for "${place.spec.name}"`);
    }
    packParameter(flat, place, found);
  }
  return flat;
}

function packParameter(flat: Float32Array, place: ParameterPlace, values: Float32Array): void {
  const { spec, start, rows, columns, stride } = place;
  if (values.length !== rows * columns) {
    throw new RangeError(
      `Cannot set "${spec.name}": ${values.length} values, and it has ${rows * columns}`,
    );
  }
  for (let row = 0; row < rows; row++) {
    flat.set(values.subarray(row * columns, (row + 1) * columns), start + row * stride);
  }
}

/** The first parameter of whose parts of the norm, one for each `step` elements, one is not finite. */
export function firstNotFinite(
  { places, step }: ParameterLayout,
  parts: Float32Array,
): string | undefined {
  return places.find(({ start, rows, stride }) => {
    const [first, end] = [start / step, Math.ceil((start + rows * stride) / step)];
    return !parts.subarray(first, end).every(Number.isFinite);
  })?.spec.name;
}
