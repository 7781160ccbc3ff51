import { assert, assertEquals, assertMatch } from "@std/assert";
import { loadModel } from "../../src/engine/load_model.ts";
import { goldenPath } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import "../settle_readbacks.ts";

const PROGRAM = new URL("../../tools/verify_hub.ts", import.meta.url).pathname;
const PROMPT = "Hey how are you doing?";

/** What the golden model says, taken from its folder. */
async function goldenOutput() {
  using model = await loadModel(goldenPath("mamba1"));
  const tokens = model.generate(PROMPT, { maxTokens: 10, temperature: 0 });
  const text = (await Array.fromAsync(tokens)).map((token) => token.text).join("");
  using session = model.createSession();
  const firstLogits = [...await session.step(72)].slice(0, 40);
  return {
    model: "owner/name",
    dtype: "f32",
    downloadBytes: 330_000,
    source: "tests/golden",
    prompt: PROMPT,
    maxTokens: 10,
    text,
    firstLogits,
  };
}

/** Runs the command against a hub with the golden model, and gives its exit code and the lines of its result. */
async function run(outputs: unknown, ...args: string[]): Promise<[number, string[]]> {
  await using hub = new LocalHub();
  const files = ["config.json", "model.safetensors", "tokenizer.json"];
  hub.addFolder("owner/name", "main", goldenPath("mamba1"), files);
  const home = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${home}/outputs.json`, JSON.stringify(outputs));
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", PROGRAM, "--outputs", `${home}/outputs.json`, ...args],
      env: {
        NO_COLOR: "1",
        HF_ENDPOINT: hub.endpoint,
        HF_HOME: home,
        HF_HUB_CACHE: "",
        HF_HUB_OFFLINE: "",
      },
    }).output();
    return [code, new TextDecoder().decode(stdout).trimEnd().split("\n")];
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("verify_hub.ts passes what is as published, and leaves out what is too large", async () => {
  const output = await goldenOutput();
  const large = { ...output, model: "owner/large", downloadBytes: 2e9 };
  const [code, lines] = await run([output, large]);
  assertEquals(code, 0, lines.join("\n"));
  assertEquals(lines.length, 3);
  assertMatch(lines[0] ?? "", /^pass {2}owner\/name \(f32\): "Hey how .+" goes on "/);
  assertMatch(
    lines[1] ?? "",
    /^pass {2}owner\/name \(f32\): 40 logits, worst difference [\d.e-]+ of the/,
  );
  assertEquals(lines[2], "left  owner/large: 2.00 GB to download, beyond --max-gb");
});

Deno.test("verify_hub.ts fails another text, other logits, and what it cannot load", async () => {
  const output = await goldenOutput();
  const [first = 0, ...others] = output.firstLogits;
  const [code, lines] = await run(
    [
      { ...output, text: "other", firstLogits: [first + 0.01 * (1 + Math.abs(first)), ...others] },
      { ...output, dtype: "f13" },
      { ...output, model: "owner/large", downloadBytes: 2e9 },
    ],
    "--max-gb",
    "3",
  );
  assertEquals([code, lines.length], [1, 5], lines.join("\n"));
  assertMatch(lines[0] ?? "", /^FAIL .+, and "other" was published$/);
  assertMatch(lines[1] ?? "", /^FAIL .+ 40 logits, worst difference (9\.\d|10) of the tolerance$/);
  assertMatch(
    lines[2] ?? "",
    /^FAIL {2}owner\/name \(f13\): Cannot load the model: dtype is "f13"/,
  );
  assertMatch(
    lines[3] ?? "",
    /^FAIL {2}owner\/large \(f32\): Cannot load .+ Cannot download "config.json" .+ 401/,
  );
  assertEquals(lines[4], "4 outputs are not as published");
});

Deno.test("verify_hub.ts says that nothing was checked where no hub can be reached", async () => {
  const home = await Deno.makeTempDir();
  try {
    const output = { model: "owner/name", dtype: "f32", downloadBytes: 1, prompt: "a", text: "b" };
    await Deno.writeTextFile(`${home}/outputs.json`, JSON.stringify([output]));
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", PROGRAM, "--outputs", `${home}/outputs.json`],
      env: { NO_COLOR: "1", HF_HOME: home, HF_HUB_CACHE: "", HF_HUB_OFFLINE: "1" },
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    assertMatch(lines[0] ?? "", /^not checked {2}owner\/name \(f32\): /);
    assertEquals([code, lines[1]], [3, "1 models could not be had, and were not checked"]);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("verify_hub.ts says that Mamba-3's activations were not compared where no hub can be reached", async () => {
  const home = await Deno.makeTempDir();
  try {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", PROGRAM],
      env: { NO_COLOR: "1", HF_HOME: home, HF_HUB_CACHE: "", HF_HUB_OFFLINE: "1" },
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    assertEquals(code, 3);
    assertMatch(lines.at(-2) ?? "", /^not checked {2}state-spaces\/mamba3-siso-187m: /);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("published_outputs.json names models, prompts and what was printed", async () => {
  const path = new URL("../../tools/published_outputs.json", import.meta.url);
  const outputs: Awaited<ReturnType<typeof goldenOutput>>[] = JSON.parse(
    await Deno.readTextFile(path),
  );
  assertEquals(outputs.length, 7);
  assertEquals(outputs[0]?.firstLogits.length, 40);
  for (const { model, prompt, text, downloadBytes } of outputs) {
    assertMatch(model, /^[\w.-]+\/[\w.-]+$/);
    assert(prompt.length > 0 && text.length > 0 && downloadBytes > 1e8);
  }
});
