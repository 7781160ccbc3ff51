import { assertEquals, assertRejects } from "@std/assert";
import { HttpError } from "../../../src/io/http/source.ts";
import { defined } from "../../defined.ts";
import { Random } from "../../../src/checks/random.ts";
import { gitHash, type HubRequest, listFolder, sha256, withHub } from "./local_hub.ts";

const CONFIG = '{"d_model":8}';
const CONFIG_HASH = gitHash(new TextEncoder().encode(CONFIG));
const WEIGHTS = Uint8Array.from(new Random(1).ids(50_000, 256));
const FILES = { "config.json": CONFIG, "model.safetensors": WEIGHTS, "sub/notes.txt": "hello" };

const summary = (requests: readonly HubRequest[]) =>
  requests.map(({ server, method, revision, file }) => `${server} ${method} ${file}@${revision}`);

Deno.test("HubRepository.fetch() lays files out as the Python library does", async () => {
  await withHub(async (hub, cache, open) => {
    const commit = hub.add("o/n", "main", FILES);
    const repository = open("o/n");
    const path = defined(await repository.fetch("model.safetensors"));
    assertEquals(await Deno.readFile(path), WEIGHTS);
    assertEquals(
      await Deno.readTextFile(defined(await repository.fetch("sub/notes.txt"))),
      "hello",
    );
    assertEquals(await Deno.readTextFile(defined(await repository.fetch("config.json"))), CONFIG);
    assertEquals(await repository.fetch("tokenizer.json"), undefined);
    const notes = gitHash(new TextEncoder().encode("hello"));
    const [weights, folder] = [sha256(WEIGHTS), "models--o--n"];
    assertEquals(
      await listFolder(cache),
      [
        `.locks/${folder}/${CONFIG_HASH}.lock`,
        `.locks/${folder}/${notes}.lock`,
        `.locks/${folder}/${weights}.lock`,
        `${folder}/.no_exist/${commit}/tokenizer.json`,
        `${folder}/blobs/${CONFIG_HASH}`,
        `${folder}/blobs/${notes}`,
        `${folder}/blobs/${weights}`,
        `${folder}/refs/main`,
        `${folder}/snapshots/${commit}/config.json -> ../../blobs/${CONFIG_HASH}`,
        `${folder}/snapshots/${commit}/model.safetensors -> ../../blobs/${weights}`,
        `${folder}/snapshots/${commit}/sub/notes.txt -> ../../../blobs/${notes}`,
      ].sort(),
    );
    assertEquals(await Deno.readTextFile(`${cache}/${folder}/refs/main`), commit);
  });
});

Deno.test("HubRepository.fetch() asks once what a branch means, and nothing for a commit that is here", async () => {
  await withHub(async (hub, _cache, open) => {
    const commit = hub.add("o/n", "main", FILES);
    for (const file of ["config.json", "model.safetensors", "none"]) await open("o/n").fetch(file);
    hub.requests.length = 0;
    const again = open("o/n");
    for (const file of ["config.json", "model.safetensors", "none"]) await again.fetch(file);
    assertEquals(summary(hub.requests), ["hub HEAD config.json@main"]);
    hub.requests.length = 0;
    const pinned = open("o/n", commit);
    for (const file of ["config.json", "model.safetensors", "none"]) await pinned.fetch(file);
    assertEquals(hub.requests, []);
  });
});

Deno.test("HubRepository.fetch() takes what another commit has the same", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", FILES);
    await open("o/n").fetch("model.safetensors");
    hub.add("o/n", "main", { ...FILES, "config.json": '{"d_model":9}' });
    hub.requests.length = 0;
    const repository = open("o/n");
    assertEquals(
      await Deno.readFile(defined(await repository.fetch("model.safetensors"))),
      WEIGHTS,
    );
    assertEquals(summary(hub.requests), ["hub HEAD model.safetensors@main"]);
  });
});

Deno.test("HubRepository.fetch() stays with one commit when the branch moves on", async () => {
  await withHub(async (hub, cache, open) => {
    const first = hub.add("o/n", "main", FILES);
    const repository = open("o/n");
    await repository.fetch("config.json");
    hub.add("o/n", "main", { ...FILES, "model.safetensors": WEIGHTS.slice(1) });
    const path = defined(await repository.fetch("model.safetensors"));
    assertEquals(await Deno.readFile(path), WEIGHTS);
    assertEquals(path, `${cache}/models--o--n/snapshots/${first}/model.safetensors`);
  });
});

Deno.test("HubRepository.fetch() finds refs, tags and branches with slashes", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", { "config.json": CONFIG });
    const commit = hub.add("o/n", "refs/pr/1", FILES);
    assertEquals(await open("o/n").fetch("model.safetensors"), undefined);
    const path = defined(await open("o/n", "refs/pr/1").fetch("model.safetensors"));
    assertEquals(await Deno.readFile(path), WEIGHTS);
    assertEquals(await Deno.readTextFile(`${cache}/models--o--n/refs/refs/pr/1`), commit);
  });
});

Deno.test("HubRepository.fetchAll() tells how far it is over all files that are missing", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { a: WEIGHTS, b: WEIGHTS.slice(9), "config.json": CONFIG });
    await open("o/n").fetch("config.json");
    const seen: string[] = [];
    const repository = open("o/n", "main", {
      onProgress: ({ stage, file, loadedBytes, totalBytes }) =>
        seen.push(`${stage} ${file} ${loadedBytes} ${totalBytes}`),
    });
    const paths = await repository.fetchAll(["config.json", "a", "none", "b"]);
    assertEquals(paths.map((path) => path?.split("/").at(-1)), [
      "config.json",
      "a",
      undefined,
      "b",
    ]);
    assertEquals(seen[0], "download a 0 99991");
    assertEquals(seen.includes("download a 50000 99991"), true);
    assertEquals(seen.at(-1), "download b 99991 99991");
  });
});

Deno.test("HubRepository.fetch() works without the hub on what is in the cache", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", FILES);
    const offline = () => open("o/n", "main", {}, { offline: true });
    await assertRejects(
      () => offline().fetch("config.json"),
      Deno.errors.NotFound,
      `Cannot load "o/n@main": HF_HUB_OFFLINE is set, and "${cache}" has nothing of it. Unset`,
    );
    await open("o/n").fetch("config.json");
    hub.requests.length = 0;
    const repository = offline();
    assertEquals(await Deno.readTextFile(defined(await repository.fetch("config.json"))), CONFIG);
    assertEquals(await repository.fetch("model.safetensors"), undefined);
    assertEquals(hub.requests, []);
    // Not told to be offline, but there is nobody: what is here will do, and what is not is asked for.
    hub.fault = () => new Response(null, { status: 503 });
    const alone = open("o/n");
    assertEquals(await Deno.readTextFile(defined(await alone.fetch("config.json"))), CONFIG);
    assertEquals(hub.requests.length, 1);
    await assertRejects(() => alone.fetch("model.safetensors"), HttpError, "503");
    hub.fault = undefined;
    assertEquals(await Deno.readFile(defined(await alone.fetch("model.safetensors"))), WEIGHTS);
  });
});

Deno.test("HubRepository.fetch() mends a cache that something broke", async () => {
  await withHub(async (hub, cache, open) => {
    const commit = hub.add("o/n", "main", FILES);
    const blob = `${cache}/models--o--n/blobs/${sha256(WEIGHTS)}`;
    const fetch = async () => defined(await open("o/n").fetch("model.safetensors"));
    await fetch();
    await Deno.remove(blob); // the link leads nowhere
    assertEquals(await Deno.readFile(await fetch()), WEIGHTS);
    await Deno.remove(`${cache}/models--o--n/snapshots`, { recursive: true });
    await Deno.truncate(blob, 100);
    assertEquals(await Deno.readFile(await fetch()), WEIGHTS);
    await Deno.writeTextFile(`${cache}/models--o--n/refs/main`, "");
    assertEquals(await Deno.readFile(await fetch()), WEIGHTS);
    assertEquals(await Deno.readTextFile(`${cache}/models--o--n/refs/main`), commit);
  });
});

Deno.test("HubRepository.fetch() refuses a server that is no hub", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", FILES);
    const answers: [Record<string, string>, string][] = [
      [{ etag: '"a"' }, "has no commit (X-Repo-Commit), so that this is no hub. Check HF_ENDPOINT"],
      [{ etag: '"a"', "x-repo-commit": "../a" }, 'the commit "../a"'],
      [{ "x-repo-commit": "a" }, "has no ETag"],
      [{ "x-repo-commit": "a", etag: '"../a"' }, 'the ETag "\\"../a\\""'],
    ];
    for (const [headers, expected] of answers) {
      hub.fault = () => new Response(null, { headers });
      await assertRejects(() => open("o/n").fetch("config.json"), HttpError, expected);
    }
    hub.fault = () =>
      new Response(null, { status: 302, headers: { location: "/o/n/resolve/a/b" } });
    await assertRejects(
      () => open("o/n").fetch("config.json"),
      HttpError,
      "leads nowhere, after 10",
    );
    hub.fault = () =>
      new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } });
    await assertRejects(() => open("o/n").fetch("config.json"), HttpError, "leads nowhere");
    assertEquals(await listFolder(cache), []);
  });
});

Deno.test("HubRepository.fetch() follows redirects within the hub, token and all", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { "config.json": CONFIG });
    hub.private.set("o/n", "secret");
    const moved = new Set<string>();
    hub.fault = ({ method }) => {
      if (moved.has(method)) return undefined;
      moved.add(method);
      const headers = { location: "/o/n/elsewhere/main/config.json" };
      return new Response(null, { status: 307, headers });
    };
    const path = await open("o/n", "main", {}, { token: "secret" }).fetch("config.json");
    assertEquals(await Deno.readTextFile(defined(path)), CONFIG);
    assertEquals(hub.requests.map(({ method }) => method), ["HEAD", "HEAD", "GET", "GET"]);
  });
});
