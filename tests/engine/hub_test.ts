import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel, type LoadOptions } from "../../src/engine/load_model.ts";
import { goldenPath, readGoldenJson } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import "../settle_readbacks.ts";

const IDS = readGoldenJson<number[]>("mamba1", "ids.json");
const GREEDY = readGoldenJson<number[]>("mamba1", "greedy.json").slice(0, 8);
const HF = ["config.json", "model.safetensors", "tokenizer.json"];
const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

/** A hub that the environment leads to, with a cache of its own. */
async function withEnvironment(
  test: (hub: LocalHub, cache: string) => Promise<void>,
): Promise<void> {
  await using hub = new LocalHub();
  const home = await Deno.makeTempDir();
  const variables = {
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: home,
    HF_HUB_CACHE: `${home}/hub`,
    HF_HUB_OFFLINE: "",
    HF_TOKEN: "",
  };
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    await test(hub, variables.HF_HUB_CACHE);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await Deno.remove(home, { recursive: true });
  }
}

async function greedy(id: string, options: LoadOptions = {}): Promise<number[]> {
  using model = await loadModel(id, options);
  const tokens = model.generate(IDS, { maxTokens: 8, temperature: 0 });
  return (await Array.fromAsync(tokens)).map(({ id }) => id);
}

Deno.test("loadModel() loads each form of a model on a hub", async () => {
  await withEnvironment(async (hub) => {
    hub.addFolder("o/one", "main", goldenPath("mamba1"), HF);
    hub.addFolder("o/sharded", "v1.0", goldenPath("mamba1-sharded"), [
      ...["config.json", "model.safetensors.index.json"],
      ...SHARDS,
    ]);
    hub.addFolder("o/raw", "main", goldenPath("mamba1-raw"), ["config.json", "pytorch_model.bin"]);
    hub.addFolder("o/pull", "main", goldenPath("mamba1-raw"), ["config.json"]);
    hub.addFolder("o/pull", "refs/pr/1", goldenPath("mamba1"), ["model.safetensors"]);
    hub.addFolder("EleutherAI/gpt-neox-20b", "main", goldenPath("mamba1"), ["tokenizer.json"]);
    for (const id of ["o/one", "o/one@main", "o/sharded@v1.0", "o/raw", "o/pull"]) {
      assertEquals(await greedy(id), GREEDY, id);
    }
    using model = await loadModel("o/pull");
    assertEquals(model.tokenizer?.encode("Hey"), [72, 101, 121]);
  });
});

Deno.test("loadModel() loads every family of models from a hub", async () => {
  await withEnvironment(async (hub) => {
    const families: [folder: string, files: string[]][] = [
      ["mamba2", ["config.json", "model.safetensors"]],
      ["mamba2-raw", ["config.json", "pytorch_model.bin"]],
      ["falcon-mamba", ["config.json", "model.safetensors"]],
      ["codestral", ["config.json", "consolidated.safetensors"]],
    ];
    for (const [folder, files] of families) {
      hub.addFolder(`o/${folder}`, "main", goldenPath(folder), files);
      using model = await loadModel(`o/${folder}`);
      const prompt = readGoldenJson<number[]>(folder, "ids.json");
      const tokens = model.generate(prompt, { maxTokens: 8, temperature: 0 });
      const ids = (await Array.fromAsync(tokens)).map(({ id }) => id);
      assertEquals(ids, readGoldenJson<number[]>(folder, "greedy.json").slice(0, 8), folder);
    }
  });
});

Deno.test("loadModel() tells of the download, then of the way to the GPU", async () => {
  await withEnvironment(async (hub) => {
    hub.addFolder("o/n", "main", goldenPath("mamba1"), HF);
    const stages: string[] = [];
    const last = new Map<string, number>();
    const onProgress: LoadOptions["onProgress"] = (progress) => {
      const { stage, loadedBytes, totalBytes = NaN } = progress;
      const step = stage === "download" ? `download ${progress.file}` : "load";
      if (stages.at(-1) !== step) stages.push(step);
      last.set(step, loadedBytes / totalBytes);
    };
    assertEquals(await greedy("o/n", { onProgress }), GREEDY);
    assertEquals(stages, [
      "download config.json",
      "download model.safetensors",
      "download tokenizer.json",
      "load",
    ]);
    assertEquals([...new Set(last.values())], [1]);
  });
});

Deno.test("loadModel() stops a download at its signal, and goes on from there", async () => {
  await withEnvironment(async (hub, cache) => {
    hub.addFolder("o/n", "main", goldenPath("mamba1"), HF);
    const controller = new AbortController();
    const onProgress: LoadOptions["onProgress"] = (progress) => {
      if (progress.stage === "download" && progress.file === "model.safetensors") {
        controller.abort(new Error("enough"));
      }
    };
    const stopped = () => loadModel("o/n", { signal: controller.signal, onProgress });
    await assertRejects(stopped, Error, "enough");
    const names = Array.from(Deno.readDirSync(`${cache}/models--o--n/blobs`), ({ name }) => name);
    assert(names.length <= 2, names.join());
    assertEquals(await greedy("o/n"), GREEDY);
  });
});

Deno.test("loadModel() downloads with a fetch of the caller's", async () => {
  await withEnvironment(async (hub) => {
    hub.addFolder("o/n", "main", goldenPath("mamba1"), HF);
    let requests = 0;
    const counting: typeof fetch = (input, init) => {
      requests++;
      return fetch(input, init);
    };
    assertEquals(await greedy("o/n", { fetch: counting }), GREEDY);
    assertEquals(requests, hub.requests.length);
  });
});

Deno.test("loadModel() takes a folder where there is one, and says so where there is nothing", async () => {
  await withEnvironment(async (hub) => {
    const golden = goldenPath("mamba1");
    assertEquals(await greedy(golden), GREEDY);
    assertEquals(hub.requests, []);
    await assertRejects(
      () => loadModel("./no/model"),
      Deno.errors.NotFound,
      'Cannot load "./no/model": there is no such folder or file, and a model on a hub is named owner/name',
    );
    hub.add("o/empty", "main", { "config.json": "{}" });
    await assertRejects(
      () => loadModel("o/empty"),
      Deno.errors.NotFound,
      'Cannot load "o/empty@main": it has no weights: looked for model.safetensors,',
    );
  });
});
