/** Dropout in S4D and S4: within the block and behind it, against the float64 oracle. */

import { assert } from "@std/assert";
import { Random } from "../../src/checks/random.ts";
import { crossEntropy } from "../../src/checks/reference/cross_entropy.ts";
import { dropout } from "../../src/checks/reference/dropout.ts";
import { type Drop, s4ModelFwd } from "../../src/checks/reference/s4_model.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { initialise } from "../../src/train/initialise.ts";
import { defined } from "../defined.ts";
import { eachTrainer } from "./each_trainer.ts";

const SIZES = { d_model: 6, d_state: 8, n_layer: 2, norm_epsilon: 1e-5, d_input: 1, outputs: 3 };
const SETTINGS = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, maxNorm: Infinity };
const [SEED, PROBABILITY, TARGET] = [11, 0.4, 2];

/** Whole chunks, and a part of one. */
const SEQLEN = 133;

/** Of a difference in float64, along the gradient. */
const STEP = 1e-5;

/** The masks of a first step: the sites of the outputs and of the embedding come first, and then those within. */
const drop: Drop = ({ layer, isWithin }, x) => {
  const site = isWithin ? SIZES.n_layer + 1 + layer : layer;
  return dropout(x, [SEED, site * 2 ** 21], { probability: PROBABILITY, draw: 0 });
};

for (const model_type of ["s4d", "s4"] as const) {
  eachTrainer(
    `Trainer drops within blocks of ${model_type} what the oracle drops, and so do its gradients`,
    async (makeTrainer) => {
      const { d_model, d_state, n_layer, d_input, outputs } = SIZES;
      const config = parseConfig({
        ...{ model_type, hidden_size: d_model, state_size: d_state, num_hidden_layers: n_layer },
        input: { kind: "linear", d_input, bias: true },
        head: { kind: "classifier", n_classes: outputs, pool: "last" },
      });
      const values = initialise(config, 7);
      const inputs = new Random(3).normal(SEQLEN);
      const lossOf = (weights: (name: string) => ArrayLike<number>, dropped?: Drop): number => {
        const { logits } = s4ModelFwd(weights, { ...SIZES, model_type }, inputs, dropped);
        const last = logits.subarray((SEQLEN - 1) * outputs);
        const { loss } = crossEntropy(last, [TARGET], { rows: 1, columns: outputs }, 1);
        return defined(loss[0]);
      };
      using trainer = makeTrainer(config, values, {
        ...SETTINGS,
        dropout: { probability: PROBABILITY, seed: SEED },
      });
      const { loss, norm } = await trainer.train({
        ...{ batch: 1, seqlen: SEQLEN, inputs, targets: Uint32Array.of(TARGET) },
        ...{ targetCount: 1, continues: false },
      }, 0);
      const own = (name: string) => defined(values.get(name), name);
      const expected = lossOf(own, drop);
      assert(Math.abs(loss - expected) < 1e-4 * expected, `loss ${loss}, not ${expected}`);
      const onlyBehind: Drop = (place, x) => place.isWithin ? x : drop(place, x);
      assert(Math.abs(lossOf(own, onlyBehind) - expected) > 1e-3, "nothing was dropped within");

      const gradients = await trainer.gradients();
      const moved = (sign: number) => (name: string) => {
        const gradient = defined(gradients.get(name), name);
        return Float64Array.from(
          own(name),
          (value, i) => value + sign * STEP * (gradient[i] ?? NaN) / norm,
        );
      };
      const slope = (lossOf(moved(1), drop) - lossOf(moved(-1), drop)) / (2 * STEP);
      assert(Math.abs(slope / norm - 1) < 1e-3, `slope ${slope}, norm ${norm}`);
    },
  );
}
