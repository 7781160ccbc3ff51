/** Mamba-3 against PyTorch, in the form in which the published models lie: see tools/make_mamba3_golden.py. */

import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { parseConfig } from "../../src/model/config/config.ts";
import type { Batch } from "../../src/train/batches.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson, readGoldenTensors } from "../golden_files.ts";
import { EMBEDDING_NAMES } from "../../src/model/weights/weight_specs.ts";
import { eachTrainer } from "../train/each_trainer.ts";
import { eachBackend } from "./each_backend.ts";

const [batch, columns] = [2, 48];

for (const folder of ["mamba3-siso", "mamba3-mimo"]) {
  const golden = () => readGoldenTensors(folder, "golden.safetensors");

  eachBackend(
    `loadModel() reads pytorch_model.bin of ${folder} in bf16, its tied head stored twice, and gives PyTorch's logits`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(folder));
      const { inputs, seqlen } = batchOf(folder);
      const logits = defined(golden().logits).data;
      for (let b = 0; b < batch; b++) {
        using session = model.createSession();
        const ids = [...inputs.subarray(b * seqlen, (b + 1) * seqlen)];
        const found = defined(await session.prefill(ids, { logits: "all" }));
        const expected = logits.subarray(b * seqlen * columns, (b + 1) * seqlen * columns);
        assertClose(found, expected, { rtol: 1e-3, atol: 1e-3, name: `logits of ${b}` });
      }
    },
  );

  eachTrainer(
    `Trainer gives PyTorch's gradients within 1e-3 a tensor for ${folder}`,
    async (makeTrainer) => {
      const config = parseConfig(readGoldenJson<unknown>(folder, "config.json"));
      const values = new Map(
        Object.entries(golden()).filter(([key]) => key.startsWith("weight."))
          .map(([key, { data }]) => [ownName(key), data]),
      );
      const settings = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, maxNorm: Infinity };
      using trainer = makeTrainer(config, values, settings);
      const { inputs, targets, seqlen } = batchOf(folder);
      const example = { inputs, targets, batch, seqlen, targetCount: batch * seqlen };
      const { loss } = await trainer.train(example as unknown as Batch, 1e-3);
      assertAlmostEquals(loss, defined(defined(golden().loss).data[0]), 1e-4);
      const gradients = await trainer.gradients();
      const expected = Object.entries(golden()).filter(([name]) => name.startsWith("grad."));
      assertEquals(gradients.size, expected.length);
      for (const [key, { data }] of expected) {
        const found = defined(gradients.get(ownName(key)), key);
        let [difference, size] = [0, 0];
        for (const [i, value] of data.entries()) {
          difference += (value - (found[i] ?? NaN)) ** 2;
          size += value ** 2;
        }
        assertLess(Math.sqrt(difference / size), 1e-3, key);
      }
    },
  );
}

/** Ids (batch, seqlen), and each one's next. */
function batchOf(
  folder: string,
): { inputs: Uint32Array; targets: Uint32Array; seqlen: number } {
  const golden = readGoldenTensors(folder, "golden.safetensors");
  const { shape: [, length = NaN], data: ids } = defined(golden.ids);
  const seqlen = length - 1;
  const part = (first: number) =>
    Uint32Array.from(
      { length: batch * seqlen },
      (_, i) => defined(ids[Math.floor(i / seqlen) * length + i % seqlen + first]),
    );
  return { inputs: part(0), targets: part(1), seqlen };
}

/** What the model calls a tensor that PyTorch's name says the like of. */
function ownName(key: string): string {
  const name = key.slice(key.indexOf(".") + 1);
  return EMBEDDING_NAMES.includes(name) ? defined(EMBEDDING_NAMES[0]) : name;
}
