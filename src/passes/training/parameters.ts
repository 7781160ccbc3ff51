/** Trainable weights: every parameter of a model in one tensor, and tensors of the same layout for what goes with them. */

import type { ModelConfig } from "../../model/config/config.ts";
import {
  type ParameterLayout,
  type ParameterPlace,
  placeOf,
} from "../../model/parameter_layout.ts";
import { ownParts } from "../../runtime/own_parts.ts";
import type { PassKinds } from "../kinds.ts";
import type { Platform } from "../platform.ts";
import { type ModelWeights, modelWeights } from "../weights.ts";

/** A tensor in the layout of the parameters: values, gradients, or an optimiser's moments. */
export interface ParameterSet<K extends PassKinds> extends Disposable {
  /** All of it. */
  readonly flat: K["tensor"];
  /** The parts, as the forward and backward passes take them. */
  readonly weights: ModelWeights<K>;
  /** Records what computes everything that is derived from the parameters, as they are. */
  derive(program: K["program"]): void;
}

/** Allocates a tensor of zeros in the layout. */
export function createParameterSet<K extends PassKinds>(
  platform: Platform<K>,
  config: ModelConfig,
  layout: ParameterLayout,
  label: string,
): ParameterSet<K> {
  return ownParts((own) => {
    const flat: K["tensor"] = own(platform.createTensor(label, [layout.size]));
    const derivations: ((program: K["program"]) => void)[] = [];
    const view = ({ start, rows, stride }: ParameterPlace): K["tensor"] =>
      flat.view(start * 4, [rows * stride]);
    const weights = modelWeights<K>(platform.parts, config, {
      vector: (name) => view(placeOf(layout, name)),
      matrix: (name) => {
        const place = placeOf(layout, name);
        return platform.matrixOver(view(place), place);
      },
      derived: (name, shape, record) => {
        const tensor: K["tensor"] = own(platform.createTensor(name, shape));
        derivations.push((program) => record(program, tensor));
        return tensor;
      },
    });
    return {
      flat,
      weights,
      derive: (program: K["program"]) => {
        for (const record of derivations) record(program);
      },
    };
  });
}
