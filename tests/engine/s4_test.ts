/** S4D and S4: the convolution, the recurrence and the float64 oracle agree, wherever a sequence is cut. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { decodeSnapshot, encodeSnapshot } from "../../src/engine/snapshot.ts";
import type { Model, Session } from "../../mod.ts";
import { Random } from "../../src/checks/random.ts";
import { s4ModelFwd } from "../../src/checks/reference/s4_model.ts";
import { parseConfig, toHfConfig } from "../../src/model/config/config.ts";
import type { S4Config } from "../../src/model/mixers/s4_fields.ts";
import { writeDescription, writeModel } from "../../src/train/run/checkpoint.ts";
import { initialise } from "../../src/train/initialise.ts";
import { defined } from "../defined.ts";
import { shapeConfig } from "../../tools/bench/shapes.ts";
import { writeRandomCheckpoint } from "../../tools/random_checkpoint.ts";
import { goldenPath } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const SIZES = { d_model: 12, d_state: 16, n_layer: 2, norm_epsilon: 1e-5, d_input: 1, outputs: 3 };

/** What the two modes, and each of them and the oracle, may differ by, of the largest value. */
const CLOSE = 1e-4;

async function withCheckpoint(
  model_type: "s4d" | "s4",
  test: (folder: string, weights: (name: string) => Float32Array) => Promise<void>,
): Promise<void> {
  const { d_model, d_state, n_layer, d_input, outputs } = SIZES;
  const config = parseConfig({
    ...{ model_type, hidden_size: d_model, state_size: d_state, num_hidden_layers: n_layer },
    input: { kind: "linear", d_input, bias: true },
    head: { kind: "classifier", n_classes: outputs, pool: "last" },
  });
  const values = initialise(config, 7);
  const folder = await Deno.makeTempDir();
  try {
    await writeDescription(folder, config, undefined);
    await writeModel(folder, config, values);
    await test(folder, (name) => defined(values.get(name)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function assertClose(actual: Float32Array, expected: ArrayLike<number>, what: string): void {
  assertEquals(actual.length, expected.length, what);
  let [largest, worst] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i] ?? NaN));
    worst = Math.max(worst, Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN)));
  }
  assert(worst <= CLOSE * largest, `${what} differs by ${worst / largest} of the largest`);
}

/** The state of each layer. */
async function statesOf(session: Session): Promise<Float32Array[]> {
  const { state } = await session.snapshot();
  return Array.from({ length: SIZES.n_layer }, (_, layer) => {
    const found = defined(state.find(({ name }) => name === `layers.${layer}.ssm_state`));
    return new Float32Array(found.bytes.slice().buffer);
  });
}

async function logitsOf(model: Model, inputs: Float32Array, pieces: readonly number[]) {
  using session = model.createSession();
  const logits: number[] = [];
  let start = 0;
  for (const length of pieces) {
    const piece = inputs.subarray(start, start + length);
    logits.push(...defined(await session.prefill(piece, { logits: "all" })));
    start += length;
  }
  return { logits: Float32Array.from(logits), states: await statesOf(session) };
}

for (const model_type of ["s4d", "s4"] as const) {
  for (const seqlen of [784, 4096]) {
    eachBackend(
      `${model_type} by convolution, by recurrence and by its formulas is the same over ${seqlen} steps`,
      async (loadModel) => {
        await withCheckpoint(model_type, async (folder, weights) => {
          const inputs = new Random(5).normal(seqlen);
          const oracle = s4ModelFwd(weights, { ...SIZES, model_type }, inputs);
          for (const mode of ["conv", "recurrent"] as const) {
            using model = await loadModel(folder, { mode });
            assertEquals((model.config as S4Config).mode, mode);
            const cuts = mode === "conv"
              ? [[seqlen], [1, 70, 300, seqlen - 371], [64, seqlen - 64]]
              : [[seqlen]];
            for (const pieces of cuts) {
              const { logits, states } = await logitsOf(model, inputs, pieces);
              const name = `${mode} in pieces of ${pieces}`;
              assertClose(logits, oracle.logits, `logits, ${name}`);
              for (const [layer, state] of states.entries()) {
                assertClose(state, defined(oracle.states[layer]), `state ${layer}, ${name}`);
              }
            }
          }
        });
      },
    );
  }
}

eachBackend("a snapshot of one mode goes on in the other", async (loadModel) => {
  await withCheckpoint("s4d", async (folder) => {
    const inputs = new Random(5).normal(100);
    using conv = await loadModel(folder, { mode: "conv" });
    using recurrent = await loadModel(folder, { mode: "recurrent" });
    using first = conv.createSession();
    await first.prefill(inputs.subarray(0, 70));
    using second = recurrent.createSession();
    second.restore(await decodeSnapshot(encodeSnapshot(await first.snapshot())));
    const rest = inputs.subarray(70);
    const [one, other] = [await first.prefill(rest), await second.prefill(rest)];
    assertClose(defined(one), defined(other), "logits");
  });
});

eachBackend("a mode is refused where a model has none", async (loadModel) => {
  await assertRejects(
    () => loadModel(goldenPath("mamba1"), { mode: "conv" }),
    TypeError,
    'Cannot load the model: mode is "conv", and a model of Mamba-1 leaves no such choice',
  );
});

Deno.test("configs of S4 and S4D are read as they were written, and refused where they are wrong", () => {
  const json = { hidden_size: 8, num_hidden_layers: 1, vocab_size: 16, state_size: 4 };
  for (const own of [{ model_type: "s4" }, { model_type: "s4d", init: "inv", mode: "recurrent" }]) {
    const config = parseConfig({ ...json, ...own });
    assertEquals(parseConfig(toHfConfig(config)), config);
  }
  const refused = (own: object) => {
    try {
      parseConfig({ ...json, model_type: "s4d", ...own });
    } catch (error) {
      return String(error);
    }
    return "nothing";
  };
  assert(refused({ state_size: 5 }).includes("state_size is 5, expected an even number"));
  assert(refused({ mode: "fft" }).includes('mode is "fft", expected "conv" or "recurrent"'));
  assert(refused({ init: 3 }).includes('init is 3, expected "lin" or "inv"'));
  assert(refused({ hidden_act: "silu" }).includes('hidden_act is "silu"'));
});

/** A language model with random weights. */
async function withLanguageModel(
  shape: string,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    const folder = `${parent}/model`;
    await writeRandomCheckpoint(folder, shapeConfig(shape), { dtype: "F32", seed: 3 });
    await test(folder);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

for (const shape of ["s4d-tiny", "s4-tiny"]) {
  eachBackend(`${shape} draws the same alone and in company`, async (loadModel) => {
    await withLanguageModel(shape, async (folder) => {
      using model = await loadModel(folder);
      const run = async (seed: number) => {
        using session = model.createSession();
        await session.prefill([seed, 7, 9], { logits: "none" });
        const drawn = await Array.fromAsync(
          session.generate({ maxTokens: 12, temperature: 1, seed }),
        );
        const { state } = await session.snapshot();
        return { drawn, state: state.map(({ bytes }) => bytes) };
      };
      const alone = [await run(1), await run(2), await run(3)];
      assertEquals(await Promise.all([run(1), run(2), run(3)]), alone);
    });
  });

  eachBackend(`${shape} with quantized products scores nearly the same`, async (loadModel) => {
    await withLanguageModel(shape, async (folder) => {
      const ids = Array.from({ length: 90 }, (_, i) => i * 37 % 256);
      const last = async (dtype: "f32" | "int8") => {
        using model = await loadModel(folder, { dtype });
        using session = model.createSession();
        return defined(await session.prefill(ids, { logits: "last" }));
      };
      const [exact, rounded] = [await last("f32"), await last("int8")];
      const largest = Math.max(...exact.map(Math.abs));
      const worst = Math.max(...exact.map((value, i) => Math.abs(value - (rounded[i] ?? NaN))));
      assert(worst > 0 && worst < 0.1 * largest, `${worst} of ${largest}`);
    });
  });
}
