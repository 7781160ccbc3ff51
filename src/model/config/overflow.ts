/** Refuses models whose parts are too large to be addressed. */

import { logitCount } from "../ends.ts";
import { mixerOf } from "../mixers/mixers.ts";
import type { ModelConfig } from "./config.ts";
import type { Fields } from "./fields.ts";

/** Kernels address elements with a u32. */
const MAX_TENSOR_ELEMENTS = 2 ** 32 - 1;

/** Each size may be fine and their product still past what a kernel can address. */
export function refuseOverflow(fields: Fields, config: ModelConfig): void {
  const { d_model, input } = config;
  const inputRows = input.kind === "embedding" ? input.vocab_size : input.d_input;
  const elements: Record<string, number> = {
    "the input's weight [d_model, inputs]": d_model * inputRows,
    ...mixerOf(config).elementCounts(config),
    "the head's weight [outputs, d_model]": logitCount(config) * d_model,
  };
  for (const [name, count] of Object.entries(elements)) {
    if (count > MAX_TENSOR_ELEMENTS) {
      fields.fail(
        `${name} has ${count} elements, and at most ${MAX_TENSOR_ELEMENTS} can be addressed`,
      );
    }
  }
}
