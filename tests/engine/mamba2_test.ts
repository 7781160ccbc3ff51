import { assertEquals, assertRejects } from "@std/assert";
import type { Model } from "../../mod.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { isMamba2 } from "../../src/model/mixers/mamba2.ts";
import { weightSpecs } from "../../src/model/weights/weight_specs.ts";
import { initialise } from "../../src/train/initialise.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenConfig, readGoldenTensors, tensorData } from "../golden_files.ts";
import { Random } from "../../src/checks/random.ts";
import { type MambaConfig, mambaModelFwd } from "../../src/checks/reference/mamba.ts";
import { eachBackend, type Load } from "./each_backend.ts";

/** What the field accepts of a whole model in f32. */
const LOGITS = { rtol: 1e-3, atol: 1e-3 };

/** Longer than two chunks of the kernels, and a part of a third. */
const LONG = 150;

for (const name of ["mamba2", "mamba2-groups", "mamba2-options"]) {
  eachBackend(
    `a long input of ${name}, at once, in pieces and step by step, gives the reference's logits`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(name));
      const config = readGoldenConfig(name);
      const columns = config.head.kind === "lm" ? config.head.vocab_size : NaN;
      const ids = new Random(3).ids(LONG, columns);
      const weights = tensorData(readGoldenTensors(name, "model.safetensors"));
      const { logits: expected } = mambaModelFwd(weights, config, ids, { batch: 1, seqlen: LONG });
      for (const pieces of [[LONG], [64, 64, 22], [1, 70, 79], Array<number>(LONG).fill(1)]) {
        using session = model.createSession();
        let start = 0;
        for (const length of pieces) {
          const piece = Array.from(ids.slice(start, start + length));
          const logits = defined(await session.prefill(piece, { logits: "all" }));
          const part = expected.subarray(start * columns, (start + length) * columns);
          assertClose(logits, part, { ...LOGITS, name: `${name} from ${start}` });
          start += length;
        }
      }
    },
  );
}

/** Writes a checkpoint of new weights, and says what the reference model needs of it. */
async function writeCheckpoint(
  folder: string,
  file: string,
  json: Record<string, unknown>,
  prefix = "",
): Promise<{ config: MambaConfig; weights: Record<string, Float32Array> }> {
  const config = parseConfig(json, file);
  const values = initialise(config, 5);
  const tensors = weightSpecs(config).map(({ name, shape }) => {
    const data = defined(values.get(name));
    return {
      name: prefix + name,
      dtype: "F32" as const,
      shape,
      bytes: new Uint8Array(data.buffer),
    };
  });
  await Deno.writeTextFile(`${folder}/${file}`, JSON.stringify(json));
  const weightsFile = prefix === "" ? "model.safetensors" : "consolidated.safetensors";
  await Deno.writeFile(`${folder}/${weightsFile}`, encodeSafetensors(tensors));
  if (!isMamba2(config)) throw new TypeError(config.model_type);
  return { config: { ...config, dt_rank: 0, heads: config }, weights: Object.fromEntries(values) };
}

async function withCheckpoint(
  loadModel: Load,
  file: string,
  json: Record<string, unknown>,
  prefix: string,
  check: (
    model: Model,
    reference: { config: MambaConfig; weights: Record<string, Float32Array> },
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const reference = await writeCheckpoint(folder, file, json, prefix);
    using model = await loadModel(folder);
    await check(model, reference);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

// All that params.json leaves open has the published sizes, of which this is the smallest model.
const PARAMS = {
  dim: 256,
  n_layers: 1,
  vocab_size: 30,
  n_groups: 8,
  pad_vocab_size_multiple: 1,
  tie_embeddings: false,
};

eachBackend(
  "loadModel() reads Codestral Mamba's params.json and consolidated file",
  async (loadModel) => {
    await withCheckpoint(
      loadModel,
      "params.json",
      PARAMS,
      "model.",
      async (model, { config, weights }) => {
        assertEquals(model.config.model_type, "mamba2");
        const ids = new Random(4).ids(6, 30);
        const { logits } = mambaModelFwd(weights, config, ids, { batch: 1, seqlen: 6 });
        using session = model.createSession();
        const got = defined(await session.prefill(Array.from(ids), { logits: "all" }));
        assertClose(got, logits, { ...LOGITS, name: "logits" });
      },
    );
  },
);

// A classifier of vectors takes any batch; seven heads in one group, and a width that is no multiple of 4.
const CLASSIFIER = {
  model_type: "mamba2",
  hidden_size: 21,
  num_hidden_layers: 2,
  num_heads: 7,
  head_dim: 6,
  n_groups: 1,
  state_size: 9,
  input: { kind: "linear", d_input: 3, bias: true },
  head: { kind: "classifier", n_classes: 4, pool: "mean", bias: true },
};

for (const seqlen of [1, 2, 70]) {
  eachBackend(
    `classifyBatch() of Mamba-2 gives each sequence of ${seqlen} what it gets alone`,
    async (loadModel) => {
      await withCheckpoint(
        loadModel,
        "config.json",
        CLASSIFIER,
        "",
        async (model, { config, weights }) => {
          const batch = 6;
          const inputs = new Random(6).normal(batch * seqlen * 3);
          const { logits } = mambaModelFwd(weights, config, inputs, { batch, seqlen });
          const together = await model.classifyBatch(inputs, batch);
          for (const [b, { probabilities }] of together.entries()) {
            const last = ((b + 1) * seqlen - 1) * 4;
            const row = Array.from(logits.subarray(last, last + 4), Math.exp);
            const sum = row.reduce((a, c) => a + c);
            assertClose(probabilities, row.map((value) => value / sum), {
              ...LOGITS,
              name: `${b}`,
            });
            const own = inputs.subarray(b * seqlen * 3, (b + 1) * seqlen * 3);
            const alone = await model.classify(own);
            assertClose(probabilities, alone.probabilities, {
              rtol: 1e-5,
              atol: 1e-6,
              name: `${b}`,
            });
          }
        },
      );
    },
  );
}

eachBackend(
  "classifyBatch() says how many sequences of Mamba-2 a device takes",
  async (loadModel) => {
    // A chunk's states of one sequence have 512 kB.
    const wide = { ...CLASSIFIER, hidden_size: 64, num_heads: 2, head_dim: 64, state_size: 1024 };
    await withCheckpoint(loadModel, "config.json", wide, "", async (model) => {
      const batch = 100_000;
      await assertRejects(
        () => model.classifyBatch(new Float32Array(batch * 3), batch),
        RangeError,
        "Cannot run 100000 sequences at once: this device takes at most ",
      );
      const five = await model.classifyBatch(new Float32Array(5 * 2 * 3), 5);
      assertEquals(five.length, 5);
    });
  },
);

eachBackend(
  "loadModel() says what a tensor of Mamba-2 should be shaped like",
  async (loadModel) => {
    const folder = await Deno.makeTempDir();
    try {
      await writeCheckpoint(folder, "config.json", CLASSIFIER);
      const other = { ...CLASSIFIER, state_size: 8 };
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(other));
      await assertRejects(
        () => loadModel(folder),
        TypeError,
        "d_state = 8, d_conv = 4, nheads = 7, headdim = 6, ngroups = 1 need",
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
