import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { goldenPath, readGoldenJson } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import { runDeno, runInNode, withFolder } from "./with_node.ts";

const IDS = readGoldenJson<number[]>("mamba1", "ids.json");
const GREEDY = readGoldenJson<number[]>("mamba1", "greedy.json").slice(0, 8);
const FILES = ["config.json", "model.safetensors", "tokenizer.json"];

/** What Node 22 has not, nor browsers that are a year or two old: for all that a bundle holds, run here or not. */
const NEWER =
  /(\busing \w+ =|DisposableStack|Float16Array|f16round|\.(from|to)Base64\(|\.toHex\(|Promise\.try).{0,40}/g;

/** A program that prints what it runs on and the greedy ids, as JSON. */
function program(module: string, source: string): string {
  return `import { loadModel } from ${JSON.stringify(module)};

const model = await loadModel(${JSON.stringify(source)}, { threads: 2 });
const ids = [];
for await (const { id } of model.generate(${
    JSON.stringify(IDS)
  }, { maxTokens: 8, temperature: 0 })) {
  ids.push(id);
}
const { device } = model;
model[Symbol.dispose]();
console.log(JSON.stringify({ device, ids }));
`;
}

function assertRan(printed: string): void {
  const { device, ids } = JSON.parse(printed);
  assertMatch(device, /^CPU, 2 threads, SIMD/);
  assertEquals(ids, GREEDY);
}

Deno.test("the bundle of mod.ts runs in Node, from a folder and from a URL, on two threads", async () => {
  await using hub = new LocalHub();
  hub.addFolder("owner/name", "main", goldenPath("mamba1"), FILES);
  await withFolder(async (folder) => {
    const bundle = `${folder}/slither.mjs`;
    await runDeno(["bundle", "--quiet", "--platform", "browser", "--output", bundle, "mod.ts"]);
    assertEquals((await Deno.readTextFile(bundle)).match(NEWER), null);
    for (const source of [goldenPath("mamba1"), `${hub.endpoint}/owner/name/resolve/main/`]) {
      assertRan(await runInNode(folder, program("./slither.mjs", source)));
    }
    const missing = `import { loadModel } from "./slither.mjs";
await loadModel("./nothing").catch((error) => console.log(error.message));`;
    assertStringIncludes(
      await runInNode(folder, missing),
      'Cannot load "./nothing": there is no such folder, expected an http(s) URL or a hub',
    );
    const task = `import { loadTask } from "./slither.mjs";
await loadTask("text", { data: "x" }).catch((error) => console.log(error.message));`;
    assertStringIncludes(
      await runInNode(folder, task),
      'Cannot load the task "text": its data is read from files, and this runtime lacks Deno\'s',
    );
  });
});

Deno.test("the package of deno pack runs in Node", async () => {
  await withFolder(async (folder) => {
    const archive = `${folder}/slither.tgz`;
    // Types take half a minute, and are checked for elsewhere.
    const quick = ["--allow-slow-types", "--no-source-maps", "--allow-dirty"];
    await runDeno(["pack", ...quick, "--output", archive]);
    const target = `${folder}/node_modules/@slither`;
    await unpack(archive, target);
    await Deno.rename(`${target}/package`, `${target}/slither`);
    const manifest = await Deno.readTextFile(`${target}/slither/package.json`);
    const { dependencies } = JSON.parse(manifest);
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ dependencies }));
    await runDeno(["install", "--quiet", "--node-modules-dir=auto"], folder);
    assertRan(await runInNode(folder, program("@slither/slither", goldenPath("mamba1"))));
  });
});

/** Unpacks a .tgz, as npm does. */
async function unpack(archive: string, folder: string): Promise<void> {
  const file = await Deno.open(archive);
  const bytes = await new Response(file.readable.pipeThrough(new DecompressionStream("gzip")))
    .bytes();
  const decoder = new TextDecoder();
  const text = (start: number, length: number) =>
    decoder.decode(bytes.subarray(start, start + length)).replace(/\0.*$/s, "");
  // A header of 512 bytes before each file, which is padded to a multiple of that: POSIX.1-1988, "ustar".
  for (let at = 0; text(at, 100) !== "";) {
    const [name, sizeBytes] = [text(at, 100), parseInt(text(at + 124, 12), 8)];
    const prefix = text(at + 345, 155);
    const path = `${folder}/${prefix === "" ? name : `${prefix}/${name}`}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, bytes.subarray(at + 512, at + 512 + sizeBytes));
    at += 512 + Math.ceil(sizeBytes / 512) * 512;
  }
}
