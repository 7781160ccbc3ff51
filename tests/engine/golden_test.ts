import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Model } from "../../mod.ts";
import { assertClose } from "../assert_close.ts";
import { defined } from "../defined.ts";
import { goldenPath, readGoldenJson, readGoldenTensors, tensorData } from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

const LANGUAGE_MODELS = [
  "mamba1",
  "mamba1-odd",
  "mamba1-raw",
  "mamba1-odd-raw",
  "mamba1-sharded",
  "mamba1-f16",
  "mamba1-bf16",
  "mamba1-odd-f16",
  "mamba1-odd-bf16",
  "falcon-mamba",
  "mamba2",
  "mamba2-groups",
  "mamba2-raw",
  "mamba2-options",
  "mamba2-no-norm",
  "codestral",
];

/** What the field accepts of a whole model in f32. */
const LOGITS = { rtol: 1e-3, atol: 1e-3 };

function vocabularySize(model: Model): number {
  return model.config.head.kind === "lm" ? model.config.head.vocab_size : 0;
}

function goldenTensor(folder: string, name: string): Float32Array {
  return defined(tensorData(readGoldenTensors(folder, "expected.safetensors"))[name], name);
}

function argmax(values: ArrayLike<number>): number {
  return Array.from(values).reduce(
    (best, value, index) => value > (values[best] ?? NaN) ? index : best,
    0,
  );
}

for (const name of LANGUAGE_MODELS) {
  eachBackend(`prefill() gives PyTorch's logits for ${name}`, async (loadModel) => {
    using model = await loadModel(goldenPath(name));
    const ids = readGoldenJson<number[]>(name, "ids.json");
    const expected = goldenTensor(name, "logits");
    using session = model.createSession();
    const logits = defined(await session.prefill(ids, { logits: "all" }));
    assertClose(logits, expected, { ...LOGITS, name: "logits" });
    const n = vocabularySize(model);
    for (let t = 0; t < ids.length; t++) {
      const row = (values: Float32Array) => argmax(values.subarray(t * n, (t + 1) * n));
      assertEquals(row(logits), row(expected), `top-1 at position ${t}`);
    }
  });

  eachBackend(`generate() gives PyTorch's greedy ids for ${name}`, async (loadModel) => {
    using model = await loadModel(goldenPath(name));
    const ids = readGoldenJson<number[]>(name, "ids.json");
    const tokens = await Array.fromAsync(model.generate(ids, { maxTokens: 24, temperature: 0 }));
    assertEquals(tokens.map(({ id }) => id), readGoldenJson<number[]>(name, "greedy.json"));
    assertEquals(
      tokens.map(({ position }) => position),
      tokens.map((_, index) => ids.length + index),
    );
  });
}

for (const name of ["mamba1", "mamba1-odd", "falcon-mamba", "mamba2", "mamba2-groups"]) {
  eachBackend(
    `prefill() leaves PyTorch's conv_state and ssm_state for ${name}`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(name));
      const expected = tensorData(readGoldenTensors(name, "expected.safetensors"));
      using session = model.createSession();
      await session.prefill(readGoldenJson<number[]>(name, "ids.json"), { logits: "none" });
      const { state } = await session.snapshot();
      for (
        const { name: part, bytes } of state.filter((array) => array.name.startsWith("layers."))
      ) {
        const values = defined(expected[part], part);
        // States grow to a few tens and cancel in places: an absolute part of 1e-4 beside the scan's relative one.
        assertClose(new Float32Array(bytes.buffer), values, { rtol: 1e-4, atol: 1e-4, name: part });
      }
    },
  );
}

for (const name of ["classifier", "classifier-last"]) {
  eachBackend(`step() and prefill() give PyTorch's class logits for ${name}`, async (loadModel) => {
    using model = await loadModel(goldenPath(name));
    const [inputs, expected] = [goldenTensor(name, "inputs"), goldenTensor(name, "logits")];
    using session = model.createSession();
    const all = defined(await session.prefill(inputs, { logits: "all" }));
    assertClose(all, expected, { ...LOGITS, name: "logits of all steps" });
    session.reset();
    const classes = expected.length / (inputs.length / 3);
    for (let t = 0; t * 3 < inputs.length; t++) {
      const logits = await session.step(inputs.subarray(3 * t, 3 * t + 3));
      assertClose(logits, expected.subarray(t * classes, (t + 1) * classes), {
        ...LOGITS,
        name: `logits of step ${t}`,
      });
    }
  });

  eachBackend(
    `classifyBatch() gives each sequence of ${name} what it gets alone`,
    async (loadModel) => {
      using model = await loadModel(goldenPath(name));
      const inputs = goldenTensor(name, "inputs_batch");
      const half = inputs.length / 2;
      // Five sequences: more than a step of few sequences serves, so the general kernels run.
      const five = new Float32Array(5 * half);
      for (let b = 0; b < 5; b++) {
        five.set(inputs.subarray((b % 2) * half, (b % 2 + 1) * half), b * half);
      }
      const together = await model.classifyBatch(five, 5);
      for (const [b, { probabilities, index, label }] of together.entries()) {
        const alone = await model.classify(inputs.subarray((b % 2) * half, (b % 2 + 1) * half));
        assertClose(probabilities, alone.probabilities, {
          rtol: 1e-5,
          atol: 1e-6,
          name: `sequence ${b}`,
        });
        assertEquals([index, label], [alone.index, model.labels?.[alone.index]]);
      }
    },
  );

  eachBackend(`classifyStream() ends with what classify() says for ${name}`, async (loadModel) => {
    using model = await loadModel(goldenPath(name));
    const inputs = goldenTensor(name, "inputs");
    const steps = Array.from(
      { length: inputs.length / 3 },
      (_, t) => inputs.slice(3 * t, 3 * t + 3),
    );
    const said = await Array.fromAsync(model.classifyStream(steps));
    assertEquals(said.length, steps.length);
    const whole = await model.classify(inputs);
    const last = defined(said.at(-1));
    assertClose(last.probabilities, whole.probabilities, { rtol: 1e-5, atol: 1e-6, name: "last" });
    assertEquals(said.map(({ step }) => step), steps.map((_, t) => t + 1));
    const oneByOne = await Array.fromAsync(model.classifyStream(steps.values()));
    for (const [t, { probabilities }] of oneByOne.entries()) {
      const limits = { rtol: 1e-5, atol: 1e-6, name: `step ${t}` };
      assertClose(defined(said[t]).probabilities, probabilities, limits);
    }
    for (const bad of [new Float32Array([0, NaN, 0]), new Float32Array(6), 1]) {
      const told: number[] = [];
      const error = await assertRejects(async () => {
        const stream = model.classifyStream([...steps.slice(0, 2), bad, ...steps]);
        for await (const { step } of stream) told.push(step);
      });
      assertMatch(String(error), /input 1 is NaN|a step takes (one|3)/);
      assertEquals(told, [1, 2]);
    }
    const largest = said.map(({ probabilities }) => Math.max(...probabilities));
    const confident = Math.max(...largest);
    const some = await Array.fromAsync(model.classifyStream(steps, { confident }));
    assertEquals(some.length, largest.indexOf(confident) + 1);
    assertEquals(some.map(({ isConfident }) => isConfident).indexOf(true), some.length - 1);
    const refused = model.classifyStream(steps, { confident: NaN });
    await assertRejects(() => Array.fromAsync(refused), RangeError, "confident is NaN");
  });
}

eachBackend(
  "score() gives the log-probabilities, ranks and entropies of PyTorch's logits",
  async (loadModel) => {
    using model = await loadModel(goldenPath("mamba1"));
    const ids = readGoldenJson<number[]>("mamba1", "ids.json");
    const logits = goldenTensor("mamba1", "logits");
    const scores = await Array.fromAsync(model.score(ids));
    const streamed = await Array.fromAsync(model.score((async function* () {
      yield* ids;
    })()));
    assertEquals(scores.length, ids.length);
    assert(Number.isNaN(scores[0]?.logprob));
    for (let t = 1; t < ids.length; t++) {
      const row = Array.from(logits.subarray((t - 1) * 256, t * 256));
      const largest = Math.max(...row);
      const logSum = largest +
        Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
      const target = row[ids[t] ?? 0] ?? NaN;
      const entropy = -row.reduce(
        (sum, value) => sum + Math.exp(value - logSum) * (value - logSum),
        0,
      );
      const rank = row.filter((value) => value > target).length;
      for (const score of [defined(scores[t]), defined(streamed[t])]) {
        assertClose([score.logprob, score.entropy], [target - logSum, entropy], {
          ...LOGITS,
          name: `token ${t}`,
        });
        assertEquals([score.id, score.rank], [ids[t], rank]);
      }
    }
  },
);

eachBackend(
  "loadModel() uses the head in the weights where config.json does not say that it is tied",
  async (loadModel) => {
    const folder = await Deno.makeTempDir();
    try {
      const name = "mamba1-odd-raw";
      const { tie_embeddings, ...config } = readGoldenJson<Record<string, unknown>>(
        name,
        "config.json",
      );
      assertEquals(tie_embeddings, false);
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      await Deno.copyFile(goldenPath(name, "pytorch_model.bin"), `${folder}/pytorch_model.bin`);
      using model = await loadModel(folder);
      const ids = readGoldenJson<number[]>(name, "ids.json");
      const tokens = await Array.fromAsync(model.generate(ids, { maxTokens: 24, temperature: 0 }));
      assertEquals(tokens.map(({ id }) => id), readGoldenJson<number[]>(name, "greedy.json"));
      // Said to be tied, the same weights contradict the config.
      await Deno.writeTextFile(
        `${folder}/config.json`,
        JSON.stringify({ ...config, tie_embeddings: true }),
      );
      await assertRejects(
        () => loadModel(folder),
        TypeError,
        "config.json ties the head to the embedding",
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
