import { assert, assertEquals } from "@std/assert";
import { defined } from "../../defined.ts";
import { Random } from "../../../src/checks/random.ts";
import { listFolder, type LocalHub, sha256, withHub } from "./local_hub.ts";

const FILE = "model.safetensors";
const WEIGHTS = Uint8Array.from(new Random(3).ids(400_000, 256));
const FIXTURE = new URL("./fixture_hub_fetch.ts", import.meta.url).pathname;

/** Another process that fetches the file. */
function fetchElsewhere(
  hub: LocalHub,
  cache: string,
  permissions: readonly string[] = ["-A"],
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, FIXTURE, hub.endpoint, cache, "o/n", FILE],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function pathFrom(child: Deno.ChildProcess): Promise<string> {
  const { code, stdout, stderr } = await child.output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

/** The content comes in pieces, with pauses between them, the last of which ends where nobody listens any more. */
function slowly(response: Response, pieces: number, pauseMs: number): Response {
  const step = Math.ceil(WEIGHTS.length / pieces);
  let sent = 0;
  let isCancelled = false;
  let endPause = (): void => {};
  const body = response.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        for (let at = 0; at < chunk.length; at += step) {
          controller.enqueue(chunk.subarray(at, at + step));
          sent += Math.min(step, chunk.length - at);
          if (sent === WEIGHTS.length) return;
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, pauseMs);
            endPause = () => {
              clearTimeout(timer);
              resolve();
            };
          });
          if (isCancelled) return;
        }
      },
      cancel() {
        isCancelled = true;
        endPause();
      },
    }),
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

const downloads = (hub: LocalHub) => hub.requests.filter(({ server }) => server === "storage");

Deno.test("two processes that want the same file at once download it once, and both have it", async () => {
  await withHub(async (hub, cache) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    hub.fault = ({ server }, right) => server === "storage" ? slowly(right(), 10, 150) : undefined;
    const children = [fetchElsewhere(hub, cache), fetchElsewhere(hub, cache)];
    const [first, second] = await Promise.all(children.map(pathFrom));
    assertEquals(first, second);
    assertEquals(await Deno.readFile(defined(first)), WEIGHTS);
    assertEquals(downloads(hub).length, 1);
    assertEquals((await listFolder(cache)).filter((path) => path.includes("incomplete")), []);
  });
});

Deno.test("two downloads at once in one process wait for each other, and say so", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    hub.fault = ({ server }, right) => server === "storage" ? slowly(right(), 5, 100) : undefined;
    const notes = new Set<string>();
    const options = {
      onProgress: ({ note }: { note?: string | undefined }) => notes.add(note ?? ""),
    };
    const fetch = () => open("o/n", "main", options).fetch(FILE);
    const [first, second] = await Promise.all([fetch(), fetch()]);
    assertEquals([first, downloads(hub).length], [second, 1]);
    assert(notes.has("another process downloads it"));
  });
});

Deno.test("a process that was killed leaves no lock, and what had come", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    hub.fault = ({ server }, right) => server === "storage" ? slowly(right(), 4, 400) : undefined;
    const child = fetchElsewhere(hub, cache);
    const partial = `${cache}/models--o--n/blobs/${sha256(WEIGHTS)}.incomplete`;
    const sizeOf = async () => (await Deno.stat(partial).catch(() => ({ size: 0 }))).size;
    while (await sizeOf() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGKILL");
    await child.output();
    const size = await sizeOf();
    assert(size > 0 && size < WEIGHTS.length, `${size} bytes`);
    hub.requests.length = 0;
    hub.fault = undefined;
    assertEquals(await Deno.readFile(defined(await open("o/n").fetch(FILE))), WEIGHTS);
    assertEquals(downloads(hub).map(({ headers }) => headers.get("range")), [`bytes=${size}-`]);
  });
});

Deno.test("an aborted wait for another process ends at once", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    hub.fault = ({ server }, right) => server === "storage" ? slowly(right(), 5, 200) : undefined;
    const started = Promise.withResolvers<void>();
    const first = open("o/n", "main", { onProgress: () => started.resolve() }).fetch(FILE);
    await started.promise;
    const controller = new AbortController();
    const onProgress = ({ note }: { note?: string | undefined }) =>
      note !== undefined && controller.abort("no patience");
    const waiting = open("o/n", "main", { signal: controller.signal, onProgress });
    const second = waiting.fetch(FILE).catch((error) => error);
    const order: string[] = [];
    await Promise.all([first.then(() => order.push("first")), second.then((e) => order.push(e))]);
    assertEquals(order, ["no patience", "first"]);
  });
});

Deno.test("without leave to make links, what others link to is copied", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    await open("o/n").fetch(FILE);
    const commit = hub.add("o/n", "main", { [FILE]: WEIGHTS, "README.md": "new" });
    hub.requests.length = 0;
    const permissions = [
      `--allow-read=${cache}`,
      `--allow-write=${cache}`,
      "--allow-net=127.0.0.1",
    ];
    const path = await pathFrom(fetchElsewhere(hub, cache, permissions));
    assertEquals(path, `${cache}/models--o--n/snapshots/${commit}/${FILE}`);
    assertEquals(await Deno.readFile(path), WEIGHTS);
    assertEquals(downloads(hub), []);
    assertEquals((await Deno.stat(`${cache}/models--o--n/blobs/${sha256(WEIGHTS)}`)).isFile, true);
    assertEquals((await listFolder(cache)).filter((name) => name.includes("incomplete")), []);
  });
});

Deno.test("without leave to make links, files themselves are put into the snapshot", async () => {
  await withHub(async (hub, cache) => {
    const commit = hub.add("o/n", "main", { [FILE]: WEIGHTS });
    const permissions = [
      `--allow-read=${cache}`,
      `--allow-write=${cache}`,
      "--allow-net=127.0.0.1",
    ];
    const path = await pathFrom(fetchElsewhere(hub, cache, permissions));
    assertEquals(path, `${cache}/models--o--n/snapshots/${commit}/${FILE}`);
    assertEquals((await Deno.lstat(path)).isFile, true);
    assertEquals(await Deno.readFile(path), WEIGHTS);
    hub.requests.length = 0;
    assertEquals(await pathFrom(fetchElsewhere(hub, cache, permissions)), path);
    assertEquals(downloads(hub), []);
    // A cache that may only be read will do, though what the branch means cannot be kept in it.
    await Deno.remove(`${cache}/models--o--n/refs`, { recursive: true });
    const readOnly = permissions.filter((permission) => !permission.includes("write"));
    assertEquals(await pathFrom(fetchElsewhere(hub, cache, readOnly)), path);
  });
});
