/** Parameters on the GPU and on the host: by official name there, in one layout here. */

import type { Gpu } from "../gpu/device.ts";
import { readFloats } from "../gpu/readback.ts";
import type { NamedValues } from "../model/training_executor.ts";
import {
  packParameter,
  type ParameterLayout,
  type ParameterSet,
  unpackParameter,
} from "./parameters.ts";

/** Reads all of a set, after the work that was submitted before. */
export async function readValues(
  gpu: Gpu,
  layout: ParameterLayout,
  set: ParameterSet,
): Promise<Map<string, Float32Array>> {
  const flat = await readFloats(gpu, set.flat);
  return new Map(layout.places.map((place) => [place.spec.name, unpackParameter(flat, place)]));
}

/**
 * Writes all of a set, before any work that is submitted later.
 *
 * @throws {RangeError} If a parameter is missing, or has another size.
 */
export function writeValues(
  layout: ParameterLayout,
  set: ParameterSet,
  values: NamedValues,
): void {
  const flat = new Float32Array(layout.size);
  for (const place of layout.places) {
    const found = values.get(place.spec.name);
    if (found === undefined) {
      throw new RangeError(`Cannot start training: there are no values for "${place.spec.name}"`);
    }
    packParameter(flat, place, found);
  }
  set.flat.write(flat);
}
