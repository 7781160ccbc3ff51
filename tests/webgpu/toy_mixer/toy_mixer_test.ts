/** A mixer that the package does not have, added as CONTRIBUTING.md says: what it is, its passes, and a kernel. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { decodeSnapshot, encodeSnapshot, loadModel } from "../../../mod.ts";
import { embeddingFwd } from "../../../src/checks/reference/embedding.ts";
import { matmulFwd } from "../../../src/checks/reference/matmul.ts";
import { rmsNormFwd } from "../../../src/checks/reference/rms_norm.ts";
import { encodeSafetensors } from "../../../src/io/safetensors/writer.ts";
import { parseConfig, toHfConfig } from "../../../src/model/config/config.ts";
import { registerMixer } from "../../../src/model/mixers/mixers.ts";
import { stateBytes } from "../../../src/model/state_layout.ts";
import { weightSpecs } from "../../../src/model/weights/weight_specs.ts";
import { initialise } from "../../../src/train/initialise.ts";
import { WEBGPU_OPS } from "../../../src/webgpu/op_set.ts";
import { WEBGPU_PARTS } from "../../../src/webgpu/platform.ts";
import { requireTrainable } from "../../../src/webgpu/require_trainable.ts";
import { assertClose } from "../../assert_close.ts";
import { defined } from "../../defined.ts";
import { withGpu } from "../../with_gpu.ts";
import { ema } from "./ema.ts";
import { emaPart } from "./ema_part.ts";
import { emaFwd } from "./webgpu_ema_fwd.ts";

registerMixer(ema);
WEBGPU_PARTS.register("ema", emaPart({ ...WEBGPU_OPS, emaFwd }));

const CONFIG_JSON = { model_type: "ema", hidden_size: 40, num_hidden_layers: 3, vocab_size: 33 };
const CONFIG = parseConfig(CONFIG_JSON);
const WEIGHTS = initialise(CONFIG, 7);
const IDS = Array.from({ length: 21 }, (_, t) => (5 * t * t + t) % 33);
const LIMITS = { rtol: 1e-4, atol: 1e-5 };

function weight(name: string): Float32Array {
  return defined(WEIGHTS.get(`backbone.${name}`), name);
}

/** Logits (ids, vocab_size) in float64. */
function oracle(ids: readonly number[]): Float64Array {
  const { d_model, n_layer, norm_epsilon: eps } = CONFIG;
  const shape = { rows: ids.length, d_model, eps };
  const table = weight("embeddings.weight");
  const residual = embeddingFwd(ids, table, { d_model });
  for (let layer = 0; layer < n_layer; layer++) {
    const x = rmsNormFwd(residual, weight(`layers.${layer}.norm.weight`), shape);
    const decay = weight(`layers.${layer}.mixer.decay`);
    for (let c = 0; c < d_model; c++) {
      const a = 1 / (1 + Math.exp(-defined(decay[c])));
      let h = 0;
      for (let t = 0; t < ids.length; t++) {
        h = a * h + (1 - a) * defined(x[t * d_model + c]);
        residual[t * d_model + c] = defined(residual[t * d_model + c]) + h;
      }
    }
  }
  const normed = rmsNormFwd(residual, weight("norm_f.weight"), shape);
  return matmulFwd(normed, table, undefined, { rows: ids.length, in: d_model, out: 33 });
}

/** A model loaded from a checkpoint of {@linkcode WEIGHTS}. */
async function loadToy() {
  const folder = await Deno.makeTempDir({ prefix: "toy_mixer_test_" });
  try {
    const tensors = weightSpecs(CONFIG).map(({ name, shape }) => ({
      ...{ name, dtype: "F32" as const, shape },
      bytes: new Uint8Array(defined(WEIGHTS.get(name), name).buffer),
    }));
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(toHfConfig(CONFIG)));
    await Deno.writeFile(`${folder}/model.safetensors`, encodeSafetensors(tensors));
    return await loadModel(folder, { backend: "webgpu" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a mixer of one's own has its config read and written", () => {
  assertEquals(parseConfig(toHfConfig(CONFIG)), CONFIG);
  assertEquals(stateBytes(CONFIG), 3 * 40 * 4);
  assertThrows(
    () => parseConfig({ ...CONFIG_JSON, model_type: "average" }),
    SyntaxError,
    'expected "mamba", "mamba2", "mamba3", "s4d", "s4", "ema" or "falcon_mamba"',
  );
});

Deno.test("a mixer of one's own agrees with its oracle, in steps and in any split of a prefill", async () => {
  const expected = oracle(IDS);
  const last = expected.subarray(-33);
  using model = await loadToy();
  using whole = model.createSession();
  const logits = defined(await whole.prefill(IDS, { logits: "all" }));
  assertClose(logits, expected, { ...LIMITS, name: "prefill" });
  for (const cut of [1, 8, 20]) {
    using parts = model.createSession();
    await parts.prefill(IDS.slice(0, cut), { logits: "none" });
    const rest = defined(await parts.prefill(IDS.slice(cut)));
    assertClose(rest, last, { ...LIMITS, name: `split at ${cut}` });
  }
  using steps = model.createSession();
  for (const [t, id] of IDS.entries()) {
    const own = expected.subarray(33 * t, 33 * (t + 1));
    assertClose(await steps.step(id), own, { ...LIMITS, name: `step ${t}` });
  }
});

Deno.test("a mixer of one's own continues from a snapshot with the same tokens", async () => {
  using model = await loadToy();
  using session = model.createSession({ seed: 5 });
  await session.prefill(IDS);
  const snapshot = await decodeSnapshot(encodeSnapshot(await session.snapshot()));
  const names = snapshot.state.map(({ name }) => name);
  assertEquals(
    names.filter((name) => name.startsWith("layers.")),
    [0, 1, 2].map((layer) => `layers.${layer}.average`),
  );
  const draw = async (from: typeof session): Promise<number[]> =>
    (await Array.fromAsync(from.generate({ maxTokens: 12 }))).map(({ id }) => id);
  const drawn = await draw(session);
  using other = model.createSession();
  other.restore(snapshot);
  assertEquals(await draw(other), drawn);
  using fresh = model.createSession({ seed: 5 });
  await fresh.prefill([1]);
  assertNotEquals(await draw(fresh), drawn);
  assert(drawn.length > 0);
});

Deno.test(
  "a mixer without a backward is refused in training, by name",
  withGpu((gpu) => {
    assertThrows(
      () => requireTrainable(gpu, CONFIG),
      TypeError,
      'Cannot train "ema" on WebGPU: it has no backward',
    );
  }),
);
