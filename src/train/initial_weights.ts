/** Weights that a run begins with: those of a checkpoint, in place of random ones. */

import { openCheckpoint } from "../io/checkpoint.ts";
import { toFloat32 } from "../io/dtype.ts";
import { stateDictPrefix } from "../io/state_dict.ts";
import type { TensorFile, TensorInfo } from "../io/tensor_file.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { parseQuantization } from "../model/config/quantization.ts";
import type { NamedValues } from "../model/training_executor.ts";
import { type Found, matchTensors } from "../model/weights/match_tensors.ts";

/**
 * Reads a checkpoint's weights as float32, whatever type they are stored in.
 *
 * @param location A folder, or whatever else `loadModel` takes.
 * @param config The model that is to have them.
 * @throws {TypeError} If they are not of a model of that shape, or quantized.
 */
export async function readInitialWeights(
  location: string,
  config: ModelConfig,
): Promise<NamedValues> {
  const checkpoint = await openCheckpoint(location);
  try {
    const quantized = parseQuantization(checkpoint.config);
    if (quantized !== undefined) {
      throw new TypeError(
        `Cannot begin with "${location}": its weights are ${quantized}. Take the folder they came from`,
      );
    }
    const file = checkpoint.tensors;
    const values = new Map<string, Float32Array>();
    for (const { spec, info } of matching(location, config, file)) {
      values.set(spec.name, toFloat32(await file.read(info.name), info.dtype));
    }
    return values;
  } finally {
    checkpoint[Symbol.dispose]();
  }
}

/** The file's tensors, and what they are of the model's. */
function matching(location: string, config: ModelConfig, file: TensorFile): Found<TensorInfo>[] {
  try {
    return matchTensors(config, file, { prefix: stateDictPrefix(file) });
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new TypeError(
      `Cannot begin with "${location}": it is no model of this run's sizes. ${cause.message}`,
      { cause },
    );
  }
}
