/** Trainable weights: every parameter of a model in one range of memory, and ranges of the same layout for what goes with them. */

import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import {
  type ParameterLayout,
  parameterLayout,
  type ParameterPlace,
  placeOf,
} from "../model/parameter_layout.ts";
import { parameterCount } from "../model/weights/weight_specs.ts";
import { ownParts } from "../runtime/own_parts.ts";
import { rowMatrix } from "./matrix.ts";
import { MAX_MEMORY_BYTES } from "./memory.ts";
import { trainingOf } from "./mixers/mixers.ts";
import type { Cpu } from "./module.ts";
import { NORM_PART } from "./ops/training/grad_norm.ts";
import type { CpuProgram } from "./program.ts";
import { type CpuTensor, createCpuTensor } from "./tensor.ts";
import { type CpuWeights, modelWeights } from "./weights.ts";

/** A range in the layout of the parameters: values, gradients, or an optimiser's moments. */
export interface ParameterSet extends Disposable {
  /** All of it. */
  readonly flat: CpuTensor;
  /** The parts, as the forward and backward passes take them. */
  readonly weights: CpuWeights;
  /** Records what computes everything that is derived from the parameters, as they are. */
  derive(program: CpuProgram): void;
}

/** Values, gradients, their sum over batches and both moments, and values and moments once more, kept for a rewind. */
const MOST_SETS = 8;

/**
 * Refuses a model that has no backward, or whose parameters cannot fit: before they are made, which takes long for such a
 * model.
 *
 * @throws {TypeError} If a part of a block cannot be trained.
 * @throws {RangeError} If the parameters do not fit in the module's memory.
 */
export function requireTrainable(config: ModelConfig): void {
  sharedByPart(config, trainingOf);
  const sizeBytes = MOST_SETS * parameterLayout(config, NORM_PART).size * 4;
  if (sizeBytes <= MAX_MEMORY_BYTES) return;
  throw new RangeError(
    `Cannot train a model of ${
      parameterCount(config)
    } parameters: with their gradients and moments they take ` +
      `${sizeBytes} bytes, and the CPU executor reaches ${MAX_MEMORY_BYTES}. Use a smaller d_model or n_layer`,
  );
}

/** Allocates a range of zeros in the layout. */
export function createParameterSet(
  cpu: Cpu,
  config: ModelConfig,
  layout: ParameterLayout,
  label: string,
): ParameterSet {
  return ownParts((own) => {
    const flat = own(createCpuTensor(cpu, label, [layout.size]));
    const derivations: ((program: CpuProgram) => void)[] = [];
    const view = ({ start, rows, stride }: ParameterPlace): CpuTensor =>
      flat.view(start * 4, [rows * stride]);
    const weights = modelWeights(config, {
      vector: (name) => view(placeOf(layout, name)),
      matrix: (name) => {
        const place = placeOf(layout, name);
        return rowMatrix(cpu, view(place), [place.rows, place.columns], place.stride);
      },
      derived: (name, shape, record) => {
        const tensor = own(createCpuTensor(cpu, name, shape));
        derivations.push((program) => record(program, tensor));
        return tensor;
      },
    });
    return {
      flat,
      weights,
      derive: (program: CpuProgram) => {
        for (const record of derivations) record(program);
      },
    };
  });
}
