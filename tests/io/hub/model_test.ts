import { assertEquals } from "@std/assert";
import type { ByteSource } from "../../../src/io/byte_source.ts";
import { HubModel } from "../../../src/io/hub/model.ts";
import { parseHubId } from "../../../src/io/hub/id.ts";
import { defined } from "../../defined.ts";
import { goldenPath } from "../../golden_files.ts";
import { type LocalHub, withHub } from "./local_hub.ts";

const RAW = { "config.json": '{"d_model":8,"vocab_size":50277}' };
const HF = { "config.json": '{"model_type":"mamba","hidden_size":8,"vocab_size":50280}' };
const TOKENIZER = Deno.readTextFileSync(goldenPath("mamba1", "tokenizer.json"));

async function readText(source: ByteSource | undefined): Promise<string | undefined> {
  if (source === undefined) return undefined;
  using open = source;
  return new TextDecoder().decode(await open.read(0, open.sizeBytes));
}

/** What a model's files hold, or undefined where it has none, in the order that a checkpoint asks for them. */
async function contents(
  hub: LocalHub,
  cache: string,
  id: string,
  files: readonly string[],
): Promise<(string | undefined)[]> {
  const model = new HubModel(defined(parseHubId(id)), hub.settings(cache), { retryWaitMs: 1 });
  const found: (string | undefined)[] = [];
  for (const file of files) {
    found.push(await readText(await model.open(file)));
  }
  return found;
}

const SAFETENSORS = ["model.safetensors", "model.safetensors.index.json"];
const PYTORCH = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

Deno.test("HubModel takes safetensors of a raw model from its pull request", async () => {
  await withHub(async (hub, cache) => {
    hub.add("o/n", "main", { ...RAW, "pytorch_model.bin": "pickle" });
    hub.add("o/n", "refs/pr/1", { ...RAW, "pytorch_model.bin": "p", "model.safetensors": "one" });
    hub.add("state-spaces/mamba-2.8b", "main", { ...RAW, "pytorch_model.bin": "pickle" });
    hub.add("state-spaces/mamba-2.8b", "refs/pr/1", { ...RAW, "model.safetensors": "one" });
    hub.add("state-spaces/mamba-2.8b", "refs/pr/4", { ...RAW, "model.safetensors": "four" });
    assertEquals(await contents(hub, cache, "o/n", SAFETENSORS), ["one", undefined]);
    assertEquals(await contents(hub, cache, "state-spaces/mamba-2.8b", SAFETENSORS), [
      "four",
      undefined,
    ]);
    // Who names a revision gets what is there.
    assertEquals(await contents(hub, cache, "o/n@main", [...SAFETENSORS, ...PYTORCH]), [
      undefined,
      undefined,
      "pickle",
      undefined,
    ]);
    assertEquals(await contents(hub, cache, "o/n@refs/pr/1", SAFETENSORS), ["one", undefined]);
  });
});

Deno.test("HubModel takes shards from where their index is", async () => {
  await withHub(async (hub, cache) => {
    const index = JSON.stringify({ weight_map: { x: "a.safetensors", y: "b.safetensors", z: 3 } });
    const shards = { "a.safetensors": "shard a", "b.safetensors": "shard b" };
    hub.add("o/n", "main", RAW);
    hub.add("o/n", "refs/pr/1", { ...RAW, "model.safetensors.index.json": index, ...shards });
    const files = [...SAFETENSORS, "a.safetensors", "b.safetensors"];
    const expected = [undefined, index, "shard a", "shard b"];
    assertEquals(await contents(hub, cache, "o/n", files), expected);
    hub.add("o/sharded", "main", { ...HF, "model.safetensors.index.json": index, ...shards });
    assertEquals(await contents(hub, cache, "o/sharded", files), expected);
    for (const broken of ["", "[]", '{"weight_map":null}', '{"weight_map":{"x":"../../y"}}']) {
      hub.add("o/broken", "main", { ...HF, "model.safetensors.index.json": broken });
      assertEquals(await contents(hub, cache, "o/broken", SAFETENSORS), [undefined, broken]);
    }
  });
});

Deno.test("HubModel takes what PyTorch wrote where there is nothing else", async () => {
  await withHub(async (hub, cache) => {
    for (const config of [RAW, HF]) {
      hub.add("o/n", "main", { ...config, "pytorch_model.bin": "pickle" });
      const files = [...SAFETENSORS, ...PYTORCH];
      const expected = [undefined, undefined, "pickle", undefined];
      assertEquals(await contents(hub, cache, "o/n", files), expected);
    }
    const pulls = hub.requests.filter(({ revision }) => revision === "refs/pr/1");
    assertEquals(pulls.map(({ file }) => file), SAFETENSORS);
  });
});

Deno.test("HubModel takes the tokenizer of GPT-NeoX for a raw model that has none", async () => {
  await withHub(async (hub, cache) => {
    const tokenizer = "tokenizer.json";
    hub.add("o/raw", "main", RAW);
    hub.add("o/own", "main", { ...RAW, [tokenizer]: "its own" });
    hub.add("o/small", "main", { "config.json": '{"d_model":8,"vocab_size":247}' });
    hub.add("o/hf", "main", HF);
    assertEquals(await contents(hub, cache, "o/raw", [tokenizer]), [undefined]);
    hub.add("EleutherAI/gpt-neox-20b", "main", { [tokenizer]: TOKENIZER });
    assertEquals(await contents(hub, cache, "o/raw", [tokenizer]), [TOKENIZER]);
    assertEquals(await contents(hub, cache, "o/own", [tokenizer]), ["its own"]);
    assertEquals(await contents(hub, cache, "o/hf", [tokenizer]), [undefined]);
    // It has 256 ids: another one made the ids of a model with fewer.
    assertEquals(await contents(hub, cache, "o/small", [tokenizer]), [undefined]);
  });
});

Deno.test("HubModel takes Llama 3.1's tokenizer for Mamba-3, and no other where that is out of reach", async () => {
  await withHub(async (hub, cache) => {
    const tokenizer = "tokenizer.json";
    const config = '{"d_model":8,"vocab_size":256,"ssm_cfg":{"layer":"Mamba3"}}';
    hub.add("o/mamba3", "main", { ...RAW, "config.json": config });
    hub.add("EleutherAI/gpt-neox-20b", "main", { [tokenizer]: TOKENIZER });
    assertEquals(await contents(hub, cache, "o/mamba3", [tokenizer]), [undefined]);
    hub.add("meta-llama/Llama-3.1-8B", "main", { [tokenizer]: TOKENIZER });
    assertEquals(await contents(hub, cache, "o/mamba3", [tokenizer]), [TOKENIZER]);
  });
});

Deno.test("HubModel works from the cache alone, as far as that goes", async () => {
  await withHub(async (hub, cache) => {
    hub.add("o/n", "main", RAW);
    hub.add("o/n", "refs/pr/1", { ...RAW, "model.safetensors": "one" });
    hub.add("EleutherAI/gpt-neox-20b", "main", { "tokenizer.json": TOKENIZER });
    const files = ["config.json", ...SAFETENSORS, "tokenizer.json"];
    const online = await contents(hub, cache, "o/n", files);
    const settings = hub.settings(cache, { offline: true });
    const model = new HubModel(defined(parseHubId("o/n")), settings, {});
    assertEquals(model.name, "o/n@main (offline)");
    hub.requests.length = 0;
    for (const [index, file] of files.entries()) {
      assertEquals(await readText(await model.open(file)), online[index], file);
    }
    assertEquals(hub.requests, []);
  });
});

Deno.test("HubModel finds files of a model without config.json, too", async () => {
  await withHub(async (hub, cache) => {
    hub.add("o/n", "main", { "params.json": "{}", "consolidated.safetensors": "all" });
    const files = ["config.json", "params.json", "consolidated.safetensors"];
    assertEquals(await contents(hub, cache, "o/n", files), [undefined, "{}", "all"]);
  });
});
