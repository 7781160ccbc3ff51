/** S4D and S4 in training, against PyTorch: tools/golden_s4.py says what is in the files. */

import { assert, assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import type { ModelConfig } from "../../src/model/config/config.ts";
import type { NamedValues, TrainingBatch } from "../../src/model/training_executor.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson, readGoldenTensors } from "../golden_files.ts";
import { eachTrainer } from "./each_trainer.ts";

interface Golden {
  readonly config: ModelConfig;
  readonly values: NamedValues;
  readonly batch: TrainingBatch;
  readonly loss: number;
  readonly gradients: NamedValues;
  readonly losses: readonly number[];
  readonly settings: { lr: number; beta1: number; beta2: number; eps: number; weightDecay: number };
}

function read(folder: string): Golden {
  const named = (file: string) =>
    Object.entries(readGoldenTensors(folder, file)).map(([name, { data }]) =>
      [name, Float32Array.from(data)] as const
    );
  const { inputs, loss, ...gradients } = Object.fromEntries(named("gradients.safetensors"));
  const { targets, settings, losses } = readGoldenJson<{
    targets: number[];
    settings: { lr: number; betas: [number, number]; eps: number; weight_decay: number };
    losses: number[];
  }>(folder, "losses.json");
  const { lr, betas: [beta1, beta2], eps, weight_decay: weightDecay } = settings;
  const batch = targets.length;
  const own = defined(inputs);
  return {
    config: parseConfig(JSON.parse(Deno.readTextFileSync(goldenPath(folder, "config.json")))),
    values: new Map(named("model.safetensors")),
    batch: {
      ...{ batch, seqlen: own.length / 2 / batch, inputs: own },
      ...{ targets: Uint32Array.from(targets), targetCount: batch, continues: false },
    },
    loss: loss?.[0] ?? NaN,
    gradients: new Map(Object.entries(gradients)),
    losses,
    settings: { lr, beta1, beta2, eps, weightDecay },
  };
}

for (const folder of ["s4d", "s4"]) {
  for (const mode of ["conv", "recurrent"]) {
    eachTrainer(
      `Trainer gives PyTorch's gradients within 1e-3 a tensor for ${folder}, ${mode}`,
      async (makeTrainer) => {
        const { config, values, batch, settings, ...golden } = read(folder);
        const own = { ...config, mode } as ModelConfig;
        using trainer = makeTrainer(own, values, { ...settings, maxNorm: Infinity });
        const { loss } = await trainer.train(batch, 0);
        assert(Math.abs(loss - golden.loss) < 1e-4 * golden.loss, `${loss}, not ${golden.loss}`);
        const gradients = await trainer.gradients();
        assertEquals([...gradients.keys()].sort(), [...golden.gradients.keys()].sort());
        for (const [name, expected] of golden.gradients) {
          const got = defined(gradients.get(name), name);
          const difference = Math.hypot(...expected.map((value, i) => value - (got[i] ?? NaN)));
          const relative = difference / Math.hypot(...expected);
          assert(relative < 1e-3, `${name}: relative difference ${relative}`);
        }
      },
    );
  }

  eachTrainer(
    `Trainer follows ten of PyTorch's AdamW steps with its slow parameters for ${folder}`,
    async (makeTrainer) => {
      const { config, values, batch, settings, losses } = read(folder);
      using trainer = makeTrainer(config, values, { ...settings, maxNorm: Infinity });
      for (const [index, expected] of losses.entries()) {
        const { loss } = await trainer.train(batch, settings.lr);
        assert(Math.abs(loss - expected) < 1e-4, `step ${index}: ${loss}, expected ${expected}`);
      }
    },
  );
}
