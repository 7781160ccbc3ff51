/** The sizes that a config.json may state: anything beyond is a damaged or a hostile file. */

import { mixerOf } from "../mixers/mixers.ts";
import type { ModelConfig } from "./config.ts";
import type { Fields } from "./fields.ts";

/** The largest sizes believed. The published models stay below a hundredth of each. */
export const MAX_D_MODEL = 2 ** 20;
export const MAX_N_LAYER = 4096;
export const MAX_VOCAB_SIZE = 2 ** 24;
export const MAX_D_STATE = 2 ** 16;
export const MAX_D_CONV = 1024;
export const MAX_EXPAND = 1024;
/** Kernels address elements with a u32. */
const MAX_TENSOR_ELEMENTS = 2 ** 32 - 1;

/** Each size may be fine and their product still past what a kernel can address. */
export function refuseOverflow(fields: Fields, config: ModelConfig): void {
  const { d_model, input, head } = config;
  const inputRows = input.kind === "embedding" ? input.vocab_size : input.d_input;
  const headRows = head.kind === "lm" ? head.vocab_size : head.n_classes;
  const elements: Record<string, number> = {
    "the input's weight [d_model, inputs]": d_model * inputRows,
    ...mixerOf(config).elementCounts(config),
    "the head's weight [outputs, d_model]": headRows * d_model,
  };
  for (const [name, count] of Object.entries(elements)) {
    if (count > MAX_TENSOR_ELEMENTS) {
      fields.fail(
        `${name} has ${count} elements, and at most ${MAX_TENSOR_ELEMENTS} can be addressed`,
      );
    }
  }
}
