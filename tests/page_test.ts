import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { imageToInput, loadModel } from "../mod.ts";
import { goldenPath, readGoldenJson } from "./golden_files.ts";
import { LocalHub } from "./io/hub/local_hub.ts";
import type { PageResult, PageTask } from "./page_worker.ts";

const IDS = readGoldenJson<number[]>("mamba1", "ids.json");
const GREEDY = readGoldenJson<number[]>("mamba1", "greedy.json").slice(0, 8);
const FILES = ["config.json", "model.safetensors", "tokenizer.json"];

/** Bundles mod.ts for browsers; the test gets the file. */
async function withBundle(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/mod.js`;
    const root = new URL("..", import.meta.url);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "browser", "--output", path, "mod.ts"],
      cwd: root,
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    await test(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What each of the sources gives in a page of its own. */
async function inPage(
  bundle: string,
  hub: string,
  source: string,
  { prompt = IDS, onCpu = false }: Partial<Pick<PageTask, "prompt" | "onCpu">> = {},
): Promise<PageResult> {
  const worker = new Worker(new URL("page_worker.ts", import.meta.url), { type: "module" });
  try {
    const task: PageTask = { bundle: `file://${bundle}`, hub, source, prompt, onCpu };
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(task);
    });
  } finally {
    worker.terminate();
  }
}

Deno.test("mod.ts in a page loads a model of the hub or of a server through fetch alone", async () => {
  await using hub = new LocalHub();
  const commit = hub.addFolder("owner/name", "main", goldenPath("mamba1"), FILES);
  await withBundle(async (bundle) => {
    // Not more of a line than this: that of the WebAssembly module is so long that a search for all of it takes minutes.
    assertEquals((await Deno.readTextFile(bundle)).match(/.{0,40}\bnode:.{0,40}/g), null);
    const page = (source: string) => inPage(bundle, hub.endpoint, source);
    const { ids, checks, device, error } = await page("owner/name");
    assertEquals(ids, GREEDY, error);
    assertEquals(checks?.includes(false), false);
    assertMatch(device ?? "", /./);
    // The first file's answer says which commit it is; all others are asked for by that.
    const asked = hub.requests.filter(({ revision }) => revision !== commit);
    assertEquals([...new Set(asked.map(({ file }) => file))], ["config.json"]);
    assertEquals(hub.requests.at(-1)?.revision, commit);
    const url = `${hub.endpoint}/owner/name/resolve/main/`;
    assertEquals((await page(url)).ids, GREEDY);
    const onCpu = await inPage(bundle, hub.endpoint, url, { onCpu: true });
    assertEquals(onCpu.ids, GREEDY, onCpu.error);
    assertMatch(onCpu.device ?? "", /^CPU, /);
  });
});

Deno.test("mod.ts in a page classifies an image as it does in Deno", async () => {
  await using hub = new LocalHub();
  hub.addFolder("owner/digits", "main", "weights/mnist", ["config.json", "model.safetensors"]);
  const pixels = Uint8Array.from({ length: 784 }, (_, i) => i % 28 > 12 && i % 28 < 16 ? 255 : 0);
  await withBundle(async (bundle) => {
    for (const onCpu of [false, true]) {
      using model = await loadModel("weights/mnist", { backend: onCpu ? "cpu" : "webgpu" });
      const layout = model.config.preprocessing;
      if (layout?.kind !== "image") throw new TypeError("weights/mnist takes no images");
      const { probabilities } = await model.classify(imageToInput(pixels, 28, 28, 1, layout));
      const task = { prompt: [...pixels], onCpu };
      const found = await inPage(bundle, hub.endpoint, "owner/digits", task);
      assertEquals(found.error, undefined);
      assertEquals(found.probabilities, probabilities);
    }
  });
});

Deno.test("mod.ts in a page says what it cannot load", async () => {
  await using hub = new LocalHub();
  await withBundle(async (bundle) => {
    const page = async (source: string) =>
      (await inPage(bundle, hub.endpoint, source)).error ?? "no error";
    for (const path of ["./weights", "file:///weights/mnist", "/weights/mnist"]) {
      assertEquals(
        await page(path),
        `TypeError: Cannot load "${path}": a page reads no folders, expected an http(s) URL or a ` +
          "hub's owner/name",
      );
    }
    assertEquals(
      await page("o/nothing"),
      'HttpError: Cannot download "config.json" of "o/nothing@main": the hub answered 401 Unauthorized. Check the ' +
        "name at https://huggingface.co/o/nothing: a page may read what everybody may",
    );
    hub.add("o/empty", "main", { "config.json": "{}" });
    assertStringIncludes(
      await page("o/empty"),
      'NotFound: Cannot load "o/empty@main": it has no weights',
    );
  });
});
