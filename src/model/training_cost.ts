/** What a training pass costs, to say before the first step how long one will take. */

import { blockHalves } from "./blocks.ts";
import type { ModelConfig } from "./config/config.ts";
import { elementCount } from "./shapes.ts";
import type { BatchShape } from "./training_executor.ts";
import { weightSpecs } from "./weights/weight_specs.ts";

/** Operations a weight and row: a product forward, and one for each of both gradients, of two operations each. */
const PRODUCT_COST = 6;

/** The same for an element of what the blocks carry: an exponential and a few products, forward, again, and backward. */
const STATE_COST = 60;

/** About how many operations on floats forward and backward of a batch take. */
export function passCost(config: ModelConfig, { batch, seqlen }: BatchShape): number {
  const rows = batch * seqlen;
  const products = weightSpecs(config).filter(({ kind }) => kind === "matrix").reduce(
    (sum, { name, shape }) => {
      // A table is looked up in; a classifier's head reads one row a sequence.
      if (name === "classifier.weight") return sum + elementCount(shape) / seqlen;
      const isTable = config.head.kind === "lm" && !config.head.tied && /embeddings/.test(name);
      return isTable ? sum : sum + elementCount(shape);
    },
    0,
  );
  const states = blockHalves(config).flatMap(({ part }) => Object.values(part.stateShapes(config)))
    .reduce((sum, shape) => sum + elementCount(shape), 0);
  return rows * (PRODUCT_COST * products + STATE_COST * states);
}
