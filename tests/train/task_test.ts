import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../src/model/config/config.ts";
import { isMamba2 } from "../../src/model/mixers/mamba2.ts";
import {
  choosePreset,
  COMMON,
  type Hyperparameters,
  type ModelSize,
  newConfig,
  settings,
} from "../../src/train/task.ts";
import { mamba1Config } from "../mamba1_config.ts";

const OWN: Hyperparameters = {
  ...COMMON,
  ...{ steps: 5000, batchSize: 64, seqlen: 256 },
  ...{ learningRate: 1e-3, minimumLearningRate: 1e-4 },
};
const SIZE = { d_model: 20, n_layer: 2, d_state: 8, d_conv: 4, expand: 2 };

Deno.test("settings() puts the caller's settings in place of the task's", () => {
  assertEquals(settings(OWN, {}), OWN);
  const given = { seed: 7, batchSize: 8, learningRate: 2e-3, minimumLearningRate: 0 };
  assertEquals(settings(OWN, { hyperparameters: given }), { ...OWN, ...given });
});

Deno.test("settings() fits the minimum rate and the warm-up to what is given", () => {
  const high = settings(OWN, { hyperparameters: { learningRate: 4e-3 } });
  assertAlmostEquals(high.minimumLearningRate, 4e-4);
  assertEquals(settings(OWN, { hyperparameters: { steps: 200 } }).warmupSteps, 20);
  assertEquals(settings(OWN, { hyperparameters: { steps: 9000 } }).warmupSteps, 100);
  assertEquals(
    settings(OWN, { hyperparameters: { steps: 200, warmupSteps: 50 } }).warmupSteps,
    50,
  );
});

Deno.test("settings() refuses values out of range, by name", () => {
  const bad: [Partial<Hyperparameters>, string][] = [
    [{ batchSize: 0 }, "batchSize is 0, expected a whole number from 1"],
    [{ seed: -1 }, "seed is -1, expected a whole number from 0"],
    [{ seqlen: 2.5 }, "seqlen is 2.5"],
    [{ accumulation: 0 }, "accumulation is 0"],
    [{ evaluateEvery: NaN }, "evaluateEvery is NaN"],
    [{ dropout: 1 }, "dropout is 1, expected a number from 0 to below 1"],
    [{ weightDecay: -0.1 }, "weightDecay is -0.1"],
    [{ beta2: NaN }, "beta2 is NaN"],
    [{ clipNorm: -1 }, "clipNorm is -1, expected a number from 0"],
    [{ eps: 0 }, "eps is 0"],
    [{ learningRate: -1 }, "learningRate is -1"],
    [{ steps: 0 }, "steps is 0"],
  ];
  for (const [hyperparameters, message] of bad) {
    assertThrows(() => settings(OWN, { hyperparameters }), RangeError, message);
  }
});

Deno.test("newConfig() derives and checks the sizes", () => {
  const ends = {
    input: { kind: "embedding", vocab_size: 65 },
    head: { kind: "lm", vocab_size: 65, tied: true },
  } as const;
  const config = mamba1Config(newConfig(SIZE, ends, { model: { n_layer: 3 } }));
  const { d_model, d_inner, dt_rank, n_layer, real_vocab_size } = config;
  assertEquals([d_model, d_inner, dt_rank, n_layer, real_vocab_size], [20, 40, 2, 3, 65]);
  for (const model of [{ d_model: 0 }, { n_layer: 1.5 }, { d_state: NaN }, { expand: 0 }]) {
    assertThrows(() => newConfig(SIZE, ends, { model }), ConfigError, "the new model's config");
  }
});

Deno.test("newConfig() makes a model of Mamba-2 with heads that fill a block", () => {
  const ends = {
    input: { kind: "embedding", vocab_size: 65 },
    head: { kind: "lm", vocab_size: 65, tied: true },
  } as const;
  const heads = (model: Partial<ModelSize>): number[] => {
    const config = newConfig(SIZE, ends, { model: { mixer: "mamba2", ...model } });
    return isMamba2(config) ? [config.nheads, config.headdim, config.ngroups] : [];
  };
  assertEquals(heads({}), [1, 40, 1]);
  assertEquals(heads({ headdim: 8 }), [5, 8, 1]);
  assertEquals(heads({ d_model: 96 }), [3, 64, 1]);
  assertEquals(heads({ d_model: 37, expand: 3 }), [3, 37, 1]);
  for (const headdim of [7, 0, 80, NaN]) {
    assertThrows(() => heads({ headdim }), RangeError, `headdim is ${headdim}, and a block has 40`);
  }
  assertThrows(() => heads({ headdim: -8 }), ConfigError, "head_dim is -8");
  assertThrows(() => heads({ headdim: 0.5 }), ConfigError, "head_dim is 0.5");
  assertThrows(
    () => heads({ headdim: 8, mixer: "mamba1" }),
    RangeError,
    "headdim is for the mixer",
  );
  const mixer = JSON.parse('"s5"');
  assertThrows(
    () => heads({ mixer }),
    RangeError,
    'mixer is "s5", expected "mamba1" or "mamba2" or',
  );
});

Deno.test("newConfig() takes of a mixer's own options what it declares, and nothing else", () => {
  const ends = {
    input: { kind: "linear", d_input: 1, bias: true },
    head: { kind: "classifier", n_classes: 2, pool: "mean", bias: true },
  } as const;
  const make = (model: Partial<ModelSize>) => newConfig(SIZE, ends, { model });
  const made: [Partial<ModelSize>, Record<string, unknown>][] = [
    [{ mixer: "s4d", mode: "recurrent", init: "inv" }, { mode: "recurrent", init: "inv" }],
    [{ mixer: "s4" }, { mode: "conv" }],
    [{ mixer: "mamba3", mimo_rank: 2, d_intermediate: 0 }, { mimo_rank: 2, d_intermediate: 0 }],
    [{ mixer: "mamba1", headdim: undefined }, { model_type: "mamba" }],
  ];
  for (const [model, expected] of made) {
    const config: object = make({ d_state: 8, ...model });
    assertEquals({ ...config, ...expected }, config);
    assertEquals("own" in config, false);
  }
  const refused: [Partial<ModelSize>, string][] = [
    [{ mixer: "s4", init: "lin" }, 'init is for the mixer "s4d", and this is "s4"'],
    [{ mixer: "mamba2", mimo_rank: 2 }, 'mimo_rank is for the mixer "mamba3"'],
    [{ mode: "conv" }, 'mode is for the mixer "s4d" or "s4", and this is "mamba1"'],
    [{ mixer: "s4d", mode: "fast" }, 'mode is "fast", expected "conv" or "recurrent"'],
    [{ mixer: "mamba2", headdim: "8" }, 'headdim is "8", expected a number'],
    [{ d_modle: 8 }, "d_modle is no size of a model"],
  ];
  for (const [model, message] of refused) {
    assertThrows(() => make({ d_state: 8, ...model }), RangeError, message);
  }
});

Deno.test("choosePreset() takes the first, or the one named", () => {
  assertEquals(choosePreset("t", ["a", "b"], {}), "a");
  assertEquals(choosePreset("t", ["a", "b"], { preset: "b" }), "b");
  assertThrows(
    () => choosePreset("t", ["a", "b"], { preset: "c" }),
    RangeError,
    'Cannot load the task "t": it has no preset "c", expected a, b',
  );
});
