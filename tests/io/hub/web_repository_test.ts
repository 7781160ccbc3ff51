import { assertEquals, assertRejects } from "@std/assert";
import type { DownloadProgress, HubOptions } from "../../../src/io/hub/client.ts";
import type { HubFiles } from "../../../src/io/hub/files.ts";
import { parseHubId } from "../../../src/io/hub/id.ts";
import { HubModel } from "../../../src/io/hub/model.ts";
import { HttpError } from "../../../src/io/http/source.ts";
import { WebRepository } from "../../../src/io/hub/web_repository.ts";
import { defined } from "../../defined.ts";
import { goldenPath } from "../../golden_files.ts";
import { cut, LocalHub } from "./local_hub.ts";

const LARGE = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);

/** What a page's requests for the hub come to: this one. */
function optionsFor(hub: LocalHub, others: HubOptions = {}): HubOptions {
  return {
    retryWaitMs: 1,
    fetch: (input, init) =>
      fetch(String(input).replace("https://huggingface.co", hub.endpoint), init),
    ...others,
  };
}

async function read(files: Pick<HubFiles, "open">, file: string): Promise<Uint8Array | undefined> {
  using source = await files.open(file);
  return await source?.read(0, source.sizeBytes);
}

async function readText(files: Pick<HubFiles, "open">, file: string): Promise<string | undefined> {
  const bytes = await read(files, file);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

Deno.test("WebRepository.open() reads where the files are, all from one commit", async () => {
  await using hub = new LocalHub();
  const commit = hub.add("o/n", "main", { "config.json": "old", "model.safetensors": LARGE });
  const repository = new WebRepository("o/n", "main", optionsFor(hub));
  assertEquals(await readText(repository, "config.json"), "old");
  hub.add("o/n", "main", { "config.json": "new", "model.safetensors": "new" });
  assertEquals(await read(repository, "model.safetensors"), LARGE);
  assertEquals(await repository.open("tokenizer.json"), undefined);
  assertEquals(hub.requests.at(-1)?.revision, commit);
  // Nothing but the ranges asked for is sent.
  using source = defined(await repository.open("model.safetensors"));
  hub.requests.length = 0;
  assertEquals(await source.read(5000, 10), LARGE.slice(5000, 5010));
  assertEquals(hub.requests.map(({ server, headers }) => [server, headers.get("range")]), [
    ["hub", "bytes=5000-5009"],
    ["storage", "bytes=5000-5009"],
  ]);
});

Deno.test("WebRepository.open() tries again what may pass, and says so", async () => {
  await using hub = new LocalHub();
  hub.add("o/n", "main", { "config.json": "{}", "model.safetensors": LARGE });
  const notes: DownloadProgress[] = [];
  const onProgress = (progress: DownloadProgress) => notes.push(progress);
  const repository = new WebRepository("o/n", "main", optionsFor(hub, { onProgress }));
  let failures = 2;
  hub.fault = () => failures-- > 0 ? new Response(null, { status: 503 }) : undefined;
  assertEquals(await readText(repository, "config.json"), "{}");
  assertEquals(notes.map(({ file, note }) => [file, note]), [
    ["config.json", "the answer is 503, trying again in 1 s"],
    ["config.json", "the answer is 503, trying again in 1 s"],
  ]);
  using source = defined(await repository.open("model.safetensors"));
  failures = 1;
  hub.fault = ({ server }, right) =>
    server === "storage" && failures-- > 0 ? cut(right(), 100) : undefined;
  assertEquals(await source.read(0, LARGE.length), LARGE);
  assertEquals(notes.at(-1)?.note, "no answer, trying again in 1 s");
  hub.fault = ({ server }) =>
    server === "storage" ? new Response(null, { status: 403 }) : undefined;
  await assertRejects(
    () => source.read(0, 4),
    HttpError,
    'Cannot download "model.safetensors" of "o/n@',
  );
});

Deno.test("WebRepository.open() tries once where the hub cannot be reached, and stops when told", async () => {
  await using hub = new LocalHub();
  let asked = 0;
  const failing = () => {
    asked++;
    return Promise.reject(new TypeError("Failed to fetch"));
  };
  const repository = new WebRepository("o/n", "main", optionsFor(hub, { fetch: failing }));
  await assertRejects(() => repository.open("config.json"), HttpError, "Failed to fetch");
  assertEquals(asked, 1);
  const reason = new Error("enough");
  const stopped = optionsFor(hub, { signal: AbortSignal.abort(reason) });
  const { message } = await assertRejects(() =>
    new WebRepository("o/n", "main", stopped).open("config.json")
  );
  assertEquals(message, "enough");
});

Deno.test("WebRepository.open() tells a missing file from a missing repository or revision", async () => {
  await using hub = new LocalHub();
  hub.add("o/n", "main", { "config.json": "{}" });
  hub.private.set("o/private", "secret");
  for (
    const [name, revision, status] of [
      ["o/nothing", "main", 401],
      ["o/private", "main", 401],
      ["o/n", "nothing", 404],
    ] as const
  ) {
    const repository = new WebRepository(name, revision, optionsFor(hub));
    const error = await assertRejects(() => repository.open("config.json"), HttpError);
    assertEquals(error.status, status);
    assertEquals(
      error.message.slice(error.message.indexOf(". ")),
      `. Check the name at https://huggingface.co/${name}: a page may read what everybody may`,
    );
  }
  assertEquals(await new WebRepository("o/n", "main", optionsFor(hub)).open("x"), undefined);
});

Deno.test("HubModel in a page finds a raw model's weights and tokenizer where they are", async () => {
  await using hub = new LocalHub();
  const tokenizer = Deno.readTextFileSync(goldenPath("mamba1", "tokenizer.json"));
  const index = JSON.stringify({ weight_map: { x: "a.safetensors" } });
  hub.add("o/n", "main", { "config.json": '{"d_model":8,"vocab_size":50277}' });
  hub.add("o/n", "refs/pr/1", { "model.safetensors.index.json": index, "a.safetensors": LARGE });
  hub.add("EleutherAI/gpt-neox-20b", "main", { "tokenizer.json": tokenizer });
  const model = new HubModel(defined(parseHubId("o/n")), undefined, optionsFor(hub));
  assertEquals(model.name, "o/n@main");
  assertEquals(await readText(model, "model.safetensors"), undefined);
  assertEquals(await readText(model, "model.safetensors.index.json"), index);
  assertEquals(await read(model, "a.safetensors"), LARGE);
  assertEquals(await readText(model, "tokenizer.json"), tokenizer);
});
