import { assertEquals } from "@std/assert";
import type { Model } from "../../mod.ts";
import { Random } from "../../src/checks/random.ts";
import { type Mamba3ModelConfig, mamba3ModelFwd } from "../../src/checks/reference/mamba3_model.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { isMamba3 } from "../../src/model/mixers/mamba3.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { initialise } from "../../src/train/initialise.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { eachBackend, type Load } from "./each_backend.ts";

/** Of the largest logit: what the steps of a stream may differ by, from a sequence at once and from the reference. */
const CLOSE = 1e-5;

/** Longer than two chunks of the kernels, and a part of a third. */
const LONG = 150;

/** Ways to take it in: around chunks, which are 64 steps, or 16 of a rank of 4, and 21 of one of 3. */
const SPLITS: readonly (readonly number[])[] = [
  [LONG],
  [64, 64, 22],
  [63, 65, 1, 21],
  [1, 70, 79],
  [16, 17, 15, 1, 101],
  [22, 20, 108],
  Array<number>(LONG).fill(1),
];

const VOCAB_SIZE = 40;

/** config.json as the published models have it, small. */
function official(ssm_cfg: Record<string, unknown>, others: Record<string, unknown> = {}) {
  return {
    ...{ d_model: 24, d_intermediate: 200, n_layer: 2, vocab_size: VOCAB_SIZE },
    ...{ attn_layer_idx: [], attn_cfg: {}, rms_norm: true, residual_in_fp32: true },
    ...{ fused_add_norm: true, pad_vocab_size_multiple: 8, tie_embeddings: true },
    ssm_cfg: {
      ...{ layer: "Mamba3", d_state: 16, expand: 2, headdim: 12, ngroups: 1 },
      ...{ rope_fraction: 0.5, dt_min: 0.001, dt_max: 0.1, dt_init_floor: 1e-4, A_floor: 1e-4 },
      ...{ chunk_size: 64, is_mimo: false, is_outproj_norm: false },
      ...ssm_cfg,
    },
    ...others,
  };
}

const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  siso: official({}),
  "siso of odd sizes": official({ headdim: 6, d_state: 18, ngroups: 2, rope_fraction: 1 }),
  "siso with a norm, softplus and no MLP": official(
    { is_outproj_norm: true, A_activation: "softplus" },
    { d_intermediate: 0 },
  ),
  mimo: official({ is_mimo: true, mimo_rank: 4, chunk_size: 16 }),
  "mimo with a norm": official({
    ...{ is_mimo: true, mimo_rank: 3, is_outproj_norm: true, ngroups: 2, headdim: 6 },
    rope_fraction: 1,
  }),
};

/** More ranks than a workgroup has memory for: on a GPU, too, its steps go by the kernels of sequences. */
const MANY_RANKS = official(
  { is_mimo: true, mimo_rank: 16, d_state: 80 },
  { d_model: 12, n_layer: 1, d_intermediate: 0 },
);

/** Weights in which every part matters: biases and norms apart from one another, rates from near 0 to near 1. */
function lively(config: ReturnType<typeof parseConfig>) {
  const random = new Random(7);
  const values = new Map(initialise(config, 5));
  for (const [name, own] of values) {
    if (name.endsWith("in_proj.weight")) values.set(name, own.map((v) => 3 * v));
    else if (/norm|_bias|mimo|\.D$/.test(name)) {
      values.set(name, own.map((v) => v * (1 + 0.4 * (random.next() - 0.5)) + 0.2 * random.next()));
    } else if (name.endsWith("embeddings.weight")) values.set(name, random.normal(own.length));
  }
  return values;
}

async function withModel(
  loadModel: Load,
  json: Record<string, unknown>,
  check: (
    model: Model,
    reference: { config: Mamba3ModelConfig; weights: Record<string, Float32Array> },
  ) => Promise<void>,
): Promise<void> {
  const config = parseConfig(json);
  if (!isMamba3(config)) throw new TypeError(config.model_type);
  const values = lively(config);
  const tensors = weightSpecs(config).map(({ name, shape }) => ({
    ...{ name, shape, dtype: "F32" as const },
    bytes: new Uint8Array(defined(values.get(name)).buffer),
  }));
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(json));
    await Deno.writeFile(`${folder}/model.safetensors`, encodeSafetensors(tensors));
    using model = await loadModel(folder);
    const vocab_size = VOCAB_SIZE;
    await check(model, {
      config: { ...config, vocab_size },
      weights: Object.fromEntries(values),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [name, json] of Object.entries(CONFIGS)) {
  eachBackend(
    `a long input of Mamba-3, at once, in pieces and step by step, gives the reference's logits: ${name}`,
    async (loadModel) => {
      await withModel(loadModel, json, async (model, { config, weights }) => {
        const ids = new Random(3).ids(LONG, VOCAB_SIZE);
        const { logits: expected } = mamba3ModelFwd(weights, config, ids, {
          ...{ batch: 1, seqlen: LONG },
        });
        const largest = expected.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
        const limits = { rtol: 0, atol: CLOSE * largest };
        const whole: number[] = [];
        for (const pieces of SPLITS) {
          using session = model.createSession();
          const found: number[] = [];
          for (const length of pieces) {
            const piece = Array.from(ids.slice(session.position, session.position + length));
            found.push(...defined(await session.prefill(piece, { logits: "all" })));
          }
          if (whole.length === 0) whole.push(...found);
          assertClose(found, expected, { ...limits, name: `${name} in ${pieces}` });
          assertClose(found, whole, { ...limits, name: `${name} in ${pieces}, and at once` });
        }
      });
    },
  );
}

for (const [name, json] of Object.entries({ siso: CONFIGS.siso, "many ranks": MANY_RANKS })) {
  eachBackend(`greedy ids of Mamba-3 are the reference's: ${name}`, async (loadModel) => {
    await withModel(loadModel, defined(json), async (model, { config, weights }) => {
      const prompt = [3, 1, 4];
      const found: number[] = [];
      for await (const { id } of model.generate(prompt, { maxTokens: 20, temperature: 0 })) {
        found.push(id);
      }
      const ids = [...prompt];
      for (let i = 0; i < 20; i++) {
        const { logits } = mamba3ModelFwd(weights, config, ids, { batch: 1, seqlen: ids.length });
        const last = logits.subarray(-VOCAB_SIZE);
        ids.push(last.indexOf(Math.max(...last)));
      }
      assertEquals(found, ids.slice(prompt.length));
    });
  });
}
