import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ModelConfig, parseConfig } from "../../src/model/config/config.ts";
import type { NamedValues } from "../../src/model/training_executor.ts";
import { type Batch, START } from "../../src/train/batches.ts";
import { initialise } from "../../src/train/initialise.ts";
import { laneSource } from "../../src/train/text_windows.ts";
import { defined } from "../defined.ts";
import { goldenPath } from "../golden_files.ts";
import { eachTrainer } from "./each_trainer.ts";

/** Small models, one of each kind of block. */
const CONFIGS: Readonly<Record<string, ModelConfig>> = {
  "Mamba-1": parseConfig({
    d_model: 20,
    n_layer: 2,
    vocab_size: 11,
    ssm_cfg: { d_state: 5, d_conv: 3 },
    pad_vocab_size_multiple: 1,
  }),
  "Mamba-3 with MIMO": parseConfig({
    d_model: 12,
    n_layer: 1,
    vocab_size: 11,
    d_intermediate: 0,
    ssm_cfg: { layer: "Mamba3", d_state: 8, headdim: 8, is_mimo: true, mimo_rank: 2 },
    pad_vocab_size_multiple: 1,
  }),
  ...Object.fromEntries(
    ["mamba2-groups", "falcon-mamba"].map((folder) => {
      const json = Deno.readTextFileSync(goldenPath(folder, "config.json"));
      return [folder, parseConfig(JSON.parse(json))];
    }),
  ),
};
const IDS = Uint32Array.from({ length: 400 }, (_, i) => (i * i + (i % 7) * 3) % 11);
const SETTINGS = { beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1, maxNorm: 1 };

/** Windows of the ids: 21 steps are one chunk of the scan and a part of another. */
function windows(count: number, batchSize = 2, seqlen = 21): Batch[] {
  const source = laneSource(IDS, { batchSize, seqlen });
  const batches = [source.batch(START)];
  while (batches.length < count) batches.push(source.batch(defined(batches.at(-1)).next));
  return batches;
}

/** The same windows one after the other, as one batch. */
function joined(batches: readonly Batch[]): Batch {
  const { batch, seqlen } = defined(batches[0]);
  const join = (part: "inputs" | "targets") =>
    Uint32Array.from(
      Array.from({ length: batch }, (_, lane) =>
        batches.map((each) => [...each[part].subarray(lane * seqlen, (lane + 1) * seqlen)])).flat(
          2,
        ),
    );
  return {
    ...defined(batches[0]),
    inputs: join("inputs"),
    targets: join("targets"),
    seqlen: seqlen * batches.length,
    targetCount: batches.reduce((sum, { targetCount }) => sum + targetCount, 0),
  };
}

function close(found: number, expected: number, limit: number, name: string): void {
  assert(Math.abs(found / expected - 1) < limit, `${name}: ${found}, expected ${expected}`);
}

for (const [name, config] of Object.entries(CONFIGS)) {
  const values = initialise(config, 1);

  eachTrainer(
    `Trainer with a carried state evaluates windows as it does one long window, lane by lane: ${name}`,
    async (makeTrainer) => {
      using carrying = makeTrainer(config, values, { ...SETTINGS, carriedSequences: 2 });
      using plain = makeTrainer(config, values, SETTINGS);
      for (const seqlen of [21, 66]) {
        const parts = windows(3, 2, seqlen);
        const whole = await plain.evaluate([joined(parts)]);
        const { loss: all } = await carrying.evaluate(parts);
        close(all, whole.loss, 1e-6, "carried");
        // Once more: the first window does not continue, so it begins with zeros again.
        close((await carrying.evaluate(parts)).loss, whole.loss, 1e-6, "carried again");
        const cut = await plain.evaluate(parts);
        const difference = Math.abs(cut.loss / whole.loss - 1);
        assert(difference > 1e-5, `what came before makes a difference of ${difference} alone`);
        // Each window's own loss, and not their sum alone.
        let before = 0;
        for (let count = 1; count <= 2; count++) {
          const { loss } = await carrying.evaluate(parts.slice(0, count));
          const own = (await plain.evaluate([joined(parts.slice(0, count))])).loss;
          close(loss - before, own - before, 1e-5, `window ${count}`);
          before = loss;
        }
        close(all - before, whole.loss - before, 1e-5, "window 3");
      }
    },
  );

  eachTrainer(
    `Trainer trains from the carried state, which evaluations leave alone, and saves it: ${name}`,
    async (makeTrainer) => {
      const make = () => makeTrainer(config, values, { ...SETTINGS, carriedSequences: 2 });
      using straight = make();
      using begun = make();
      using resumed = make();
      using plain = makeTrainer(config, values, SETTINGS);
      const parts = windows(4);
      const losses: number[] = [];
      for (const part of parts) losses.push((await straight.train(part, 0)).loss);
      const long = await plain.evaluate([joined(parts)]);
      close(losses.reduce((sum, loss) => sum + loss) / 4, long.loss / long.count, 1e-5, "loss");

      for (const part of parts.slice(0, 2)) await begun.train(part, 0);
      await begun.evaluate(windows(3, 1, 30));
      await begun.evaluate(windows(3));
      resumed.restore(2, await begun.save());
      for (const part of parts.slice(2)) {
        assertEquals((await resumed.train(part, 0)).loss, losses[resumed.step - 1]);
      }
      assertEquals(await resumed.save(), await straight.save());
      resumed.keep();
      const { loss } = await resumed.train(defined(windows(5).at(-1)), 1e-2);
      resumed.rewind();
      assertEquals((await resumed.train(defined(windows(5).at(-1)), 1e-2)).loss, loss);

      const { carried: _, ...without } = await begun.save();
      assertThrows(
        () => resumed.restore(2, without),
        RangeError,
        `the state "layers.0.${config.model_type === "mamba3" ? "theta" : "conv_state"}"`,
      );
    },
  );

  eachTrainer(
    `Trainer with a carried state has the gradients of the loss that it had, by a step along them: ${name}`,
    async (makeTrainer) => {
      const [first, second] = windows(2) as [Batch, Batch];
      using trainer = makeTrainer(config, values, {
        ...{ ...SETTINGS, maxNorm: Infinity, carriedSequences: 2 },
      });
      await trainer.train(first, 0);
      const point = await trainer.save();
      const { norm } = await trainer.train(second, 0);
      const gradients = await trainer.gradients();
      const length = 2e-3;
      // The state that is carried in is the same for both: no gradient goes back into it.
      const lossAt = async (sign: number): Promise<number> => {
        const moved: NamedValues = new Map([...values].map(([name, value]) => {
          const gradient = defined(gradients.get(name));
          return [name, value.map((v, i) => v + sign * length * (gradient[i] ?? NaN) / norm)];
        }));
        trainer.restore(1, { ...point, values: moved });
        return (await trainer.train(second, 0)).loss;
      };
      const slope = (await lossAt(1) - await lossAt(-1)) / (2 * length);
      close(slope, norm, 1e-2, "slope");
    },
  );
}
