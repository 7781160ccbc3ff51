import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import {
  goldenPath,
  type GoldenTensor,
  readGoldenJson,
  readGoldenTensors,
} from "../golden_files.ts";
import { eachBackend } from "./each_backend.ts";

async function inFolder(
  config: unknown,
  tensors: Record<string, GoldenTensor>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    const list = Object.entries(tensors).map(([name, { shape, data }]) => {
      return { name, dtype: "F32", shape, bytes: new Uint8Array(data.buffer) } as const;
    });
    await Deno.writeFile(`${folder}/model.safetensors`, encodeSafetensors(list));
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

eachBackend(
  "a classifier of token ids classifies lists, batches and streams of ids",
  async (loadModel) => {
    const { "lm_head.weight": _head, ...tensors } = readGoldenTensors(
      "mamba1",
      "model.safetensors",
    );
    const config = readGoldenJson<Record<string, unknown>>("mamba1", "config.json");
    const width = Number(config.hidden_size);
    // Three classes that read the first three channels.
    const weight = new Float32Array(3 * width);
    for (let n = 0; n < 3; n++) weight[n * width + n] = 1;
    tensors["classifier.weight"] = { shape: [3, width], data: weight };
    const head = { kind: "classifier", n_classes: 3, pool: "mean" };
    await inFolder({ ...config, head }, tensors, async (folder) => {
      using model = await loadModel(folder);
      const ids = [3, 1, 4, 1, 5, 9];
      const whole = await model.classify(ids);
      const stream = await Array.fromAsync(model.classifyStream(ids));
      assertEquals(stream.length, ids.length);
      const [first, second] = await model.classifyBatch([...ids, ...ids.toReversed()], 2);
      for (const other of [stream.at(-1), first]) {
        assertEquals(other?.index, whole.index);
        const difference = whole.probabilities.map((p, n) => p - (other?.probabilities[n] ?? NaN));
        assert(difference.every((d) => Math.abs(d) < 1e-5), String(difference));
      }
      assert(whole.probabilities.some((p, n) => p !== second?.probabilities[n]));
      await assertRejects(() => model.classify(new Float32Array(2)), TypeError, "these are floats");
    });
  },
);

eachBackend("classify() and classifyStream() end with the signal's reason", async (loadModel) => {
  using model = await loadModel(goldenPath("classifier"));
  const controller = new AbortController();
  const { signal } = controller;
  const step = new Float32Array(
    model.config.input.kind === "linear" ? model.config.input.d_input : 1,
  );
  const seen: number[] = [];
  await assertRejects(
    async () => {
      for await (const { index } of model.classifyStream([step, step, step], { signal })) {
        seen.push(index);
        controller.abort(new RangeError("enough"));
      }
    },
    RangeError,
    "enough",
  );
  assertEquals(seen.length, 1);
  await assertRejects(() => model.classify(step, { signal }), RangeError, "enough");
});

eachBackend("a classifier says that it has no tokens, whatever the prompt", async (loadModel) => {
  using model = await loadModel(goldenPath("classifier"));
  const wanted = "this model is a classifier. Use classify";
  await assertRejects(() => Array.fromAsync(model.generate([1])), TypeError, wanted);
  await assertRejects(() => Array.fromAsync(model.score([1])), TypeError, wanted);
});

eachBackend(
  "a raw config that is silent about padding takes a table without any",
  async (loadModel) => {
    const { pad_vocab_size_multiple: _padding, ...config } = readGoldenJson<
      Record<string, unknown>
    >(
      "mamba1-odd-raw",
      "config.json",
    );
    const tensors = readGoldenTensors("mamba1-odd", "model.safetensors");
    await inFolder(config, tensors, async (folder) => {
      using model = await loadModel(folder);
      using same = await loadModel(goldenPath("mamba1-odd"));
      const draw = async (of: typeof model) =>
        await Array.fromAsync(of.generate([1, 2, 3], { maxTokens: 8, temperature: 0 }));
      assertEquals(await draw(model), await draw(same));
    });
  },
);

eachBackend(
  "score() refuses logits that are not finite, in lists and streams",
  async (loadModel) => {
    const tensors = readGoldenTensors("mamba1", "model.safetensors");
    tensors["backbone.norm_f.weight"]?.data.fill(NaN, 2, 3);
    await inFolder(readGoldenJson("mamba1", "config.json"), tensors, async (folder) => {
      using model = await loadModel(folder);
      const wanted = "Cannot score token 1: the logits before it are not finite";
      await assertRejects(() => Array.fromAsync(model.score([1, 2])), RangeError, wanted);
      const stream = ReadableStream.from([1, 2]);
      await assertRejects(() => Array.fromAsync(model.score(stream)), RangeError, wanted);
    });
  },
);
