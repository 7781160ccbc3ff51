/** A machine without any graphics driver: every driver that there may be is hidden from the commands. */

import { assert, assertEquals, assertMatch } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

const HIDDEN = {
  VK_DRIVER_FILES: "/nonexistent",
  VK_ICD_FILENAMES: "/nonexistent",
  __EGL_VENDOR_LIBRARY_FILENAMES: "/nonexistent",
};

async function run(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-lock", ...args],
    cwd: ROOT,
    env: { ...HIDDEN, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** README's first commands, with the flags that it shows, and what they print. */
const COMMANDS: readonly { readonly args: readonly string[]; readonly printed: RegExp }[] = [
  { args: [], printed: /It is a \d, and the model says (so|\d) \(.+\n\nAnd weights\/shakespeare / },
  { args: ["classify", "weights/mnist", "weights/mnist/digits/7.png"], printed: /^7\t1\.0000\n/ },
  {
    args: ["generate", "weights/shakespeare", "--prompt", "ROMEO:", "--max-tokens", "20"],
    printed: /\S/,
  },
];

for (const { args, printed } of COMMANDS) {
  Deno.test(`${["infer.ts", ...args].join(" ")} runs without an adapter, and says on what`, async () => {
    const { code, stdout, stderr } = await run("--allow-read", "infer.ts", ...args);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, printed);
    assertMatch(stderr, /^Device: CPU, .+, as there is no GPU$/m);
    assert(!/adapter|vulkan|error/i.test(stderr), stderr);
  });
}

Deno.test("infer.ts --backend webgpu says what to install where there is no adapter", async () => {
  const { code, stdout, stderr } = await run(
    ...["--allow-read", "infer.ts", "generate", "weights/shakespeare", "--prompt", "x"],
    ...["--backend", "webgpu"],
  );
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^Cannot find a GPU adapter: .+mesa-vulkan-drivers/m);
});

/** Runs `train.ts text` with a text of its own. */
async function trainText(...args: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, "It was a dark and stormy night. ".repeat(20));
    return await run(
      ...["-A", "train.ts", "text", "--data", `${folder}/text.txt`, "--out", `${folder}/out`],
      ...["--d-model", "8", "--n-layer", "1", "--batch-size", "2", "--seqlen", "8", ...args],
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("train.ts trains on the CPU where there is no adapter, and says so once", async () => {
  const { code, stdout, stderr } = await trainText("--steps", "2");
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^Best: step 2: /);
  assertEquals(stderr.match(/^Device: /gm)?.length, 1, stderr);
  assertMatch(stderr, /^Device: CPU, .+, as there is no GPU;/m);
});

Deno.test("train.ts --backend webgpu says what to install where there is no adapter, before data is read", async () => {
  const { code, stdout, stderr } = await run(
    ...["-A", "train.ts", "text", "--data", "/nonexistent", "--backend", "webgpu"],
  );
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /^Cannot find a GPU adapter: .+mesa-vulkan-drivers.*\n$/);
});

Deno.test("train.ts ends with 2 for a wrong value, adapter or none", async () => {
  const wrong = [["--steps", "0"], ["--steps", "many"], ["--eps", "0"], ["--mixer", "lstm"], [
    "--threads",
    "0",
  ]];
  for (const [name = "", value = ""] of wrong) {
    const { code, stdout, stderr } = await trainText(name, value, "--backend", "webgpu");
    assertEquals([code, stdout], [2, ""], `${name} ${value}: ${stderr}`);
  }
});
