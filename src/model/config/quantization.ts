/** What a config.json says of quantized weights: a form of this project's own, described in src/model/weights/quantize.ts. */

import { QUANT_GROUP, type QuantizedDType } from "../weights/quantize.ts";
import { Fields } from "./fields.ts";

/**
 * Reads `quantization_config`.
 *
 * @param json What `JSON.parse` gave of config.json.
 * @param fileName What error messages call the file.
 * @returns The type of the quantized matrices, or undefined where weights are plain numbers.
 * @throws {ConfigError} If the weights are quantized in a form that is not this project's.
 */
export function parseQuantization(
  json: unknown,
  fileName = "config.json",
): QuantizedDType | undefined {
  const fields = new Fields(json, fileName).object("quantization_config");
  if (fields === undefined) return undefined;
  if (fields.word("quant_method", ["slither"]) === undefined) {
    fields.expected("quant_method", '"slither"');
  }
  const bits = fields.integer("bits", 4, 8);
  if (bits !== 4 && bits !== 8) fields.expected("bits", "4 or 8");
  if (fields.integer("group_size", 1, 1024) !== QUANT_GROUP) {
    fields.expected("group_size", String(QUANT_GROUP));
  }
  if (fields.boolean("symmetric") === false) {
    fields.fail("quantization_config.symmetric is false, expected true");
  }
  return bits === 8 ? "int8" : "int4";
}

/** What `quantization_config` says of weights that this project quantized. */
export function toQuantizationConfig(dtype: QuantizedDType): Record<string, unknown> {
  return {
    quant_method: "slither",
    bits: dtype === "int8" ? 8 : 4,
    group_size: QUANT_GROUP,
    symmetric: true,
  };
}
