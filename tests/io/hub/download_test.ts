import { assert, assertEquals, assertRejects } from "@std/assert";
import { HttpError } from "../../../src/io/http/source.ts";
import { defined } from "../../defined.ts";
import { Random } from "../../../src/checks/random.ts";
import {
  cut,
  type Fault,
  gitHash,
  listFolder,
  type LocalHub,
  sha1,
  sha256,
  withHub,
} from "./local_hub.ts";

const FILE = "model.safetensors";
const WEIGHTS = Uint8Array.from(new Random(2).ids(200_000, 256));
const BLOB = `models--o--n/blobs/${sha256(WEIGHTS)}`;

/** The first bytes asked for by each download, in order. */
const offsets = (hub: LocalHub) =>
  hub.requests.filter(({ server, method }) => server === "storage" && method === "GET")
    .map(({ headers }) => Number(/\d+/.exec(headers.get("range") ?? "0")?.[0]));

/** Answers of the storage, one fault after the other, then the right ones. */
function faults(hub: LocalHub, ...answers: ((right: Response) => Response)[]): void {
  hub.fault = ({ server }, right) => server === "storage" ? answers.shift()?.(right()) : undefined;
}

/** An address where nobody listens. */
function nobody(): string {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  return `http://127.0.0.1:${listener.addr.port}/`;
}

async function withoutPartial(cache: string): Promise<void> {
  const files = await listFolder(cache);
  assertEquals(files.filter((file) => file.endsWith(".incomplete")), []);
}

Deno.test("a download goes on after a connection that breaks at every tenth of the file", async () => {
  await withHub(async (hub, cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    const tenth = WEIGHTS.length / 10;
    hub.fault = ({ server }, right) => server === "storage" ? cut(right(), tenth) : undefined;
    const path = defined(await open("o/n").fetch(FILE));
    assertEquals(await Deno.readFile(path), WEIGHTS);
    assertEquals(offsets(hub), Array.from({ length: 10 }, (_, i) => i * tenth));
    await withoutPartial(cache);
  });
});

for (let tenths = 1; tenths < 10; tenths++) {
  Deno.test(`a download goes on where another one ended, after ${tenths} tenths of the file`, async () => {
    await withHub(async (hub, cache, open) => {
      hub.add("o/n", "main", { [FILE]: WEIGHTS });
      const length = WEIGHTS.length / 10 * tenths;
      const controller = new AbortController();
      const signal = controller.signal;
      const first = open("o/n", "main", {
        signal,
        onProgress: ({ loadedBytes }) => loadedBytes >= length && controller.abort("enough"),
      });
      faults(hub, (right) => cut(right, length));
      assertEquals(await first.fetch(FILE).catch((error) => error), "enough");
      assertEquals((await Deno.stat(`${cache}/${BLOB}.incomplete`)).size, length);
      hub.requests.length = 0;
      assertEquals(await Deno.readFile(defined(await open("o/n").fetch(FILE))), WEIGHTS);
      assertEquals(offsets(hub), [length]);
      await withoutPartial(cache);
    });
  });
}

const passing: Record<string, ((right: Response) => Response)[]> = {
  "an answer that is too short": [(right) => short(right, 70_000)],
  "an answer that is too long": [(right) => new Response(stream(right, new Uint8Array(9)))],
  "an answer with wrong bytes": [() => new Response(new Uint8Array(WEIGHTS.length))],
  "an answer with one wrong bit": [
    () => new Response(WEIGHTS.with(7, defined(WEIGHTS[7]) ^ 1)),
  ],
  "an answer with wrong bytes, then a cut": [
    () => new Response(new Uint8Array(WEIGHTS.length)),
    (right) => cut(right, 60_000),
  ],
  "an empty answer": [() => new Response(null)],
  "429 with Retry-After in seconds": [
    () => new Response(null, { status: 429, headers: { "retry-after": "0" } }),
  ],
  "429 with Retry-After as a date": [
    () =>
      new Response(null, { status: 429, headers: { "retry-after": new Date(0).toUTCString() } }),
  ],
  "429 with RateLimit": [
    () => new Response(null, { status: 429, headers: { ratelimit: '"resolvers";r=0;t=0' } }),
  ],
  "500, 502, 503 and 504": [500, 502, 503, 504].map((status) => () =>
    new Response(null, { status })
  ),
  "storage whose signature has expired": [() => new Response(null, { status: 403 })],
  "storage that is not there": [() => Response.redirect(nobody())],
  "a server that ignores ranges": [
    (right) => cut(right, 60_000),
    () => new Response(WEIGHTS.slice()),
  ],
  "a server with wrong ranges": [
    (right) => cut(right, 60_000),
    () =>
      new Response(WEIGHTS.slice(5), {
        status: 206,
        headers: { "content-range": "bytes 5-199999/200000" },
      }),
  ],
};

for (const [name, answers] of Object.entries(passing)) {
  Deno.test(`a download recovers from ${name}`, async () => {
    await withHub(async (hub, cache, open) => {
      hub.add("o/n", "main", { [FILE]: WEIGHTS });
      const left = [...answers];
      hub.fault = ({ server }, right) => server === "storage" ? left.shift()?.(right()) : undefined;
      assertEquals(await Deno.readFile(defined(await open("o/n").fetch(FILE))), WEIGHTS);
      assertEquals(left, []);
      await withoutPartial(cache);
    });
  });
}

/** A body that is complete by its own account, and not all there is. */
function short(right: Response, length: number): Response {
  const body = stream(right, new Uint8Array(), length);
  return new Response(body, { headers: { "content-length": String(length) } });
}

function stream(right: Response, after: Uint8Array, length = Infinity): ReadableStream<Uint8Array> {
  let left = length;
  return defined(right.body ?? undefined).pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        if (left > 0) controller.enqueue(piece.subarray(0, left));
        left -= piece.length;
      },
      flush(controller) {
        if (after.length > 0) controller.enqueue(after);
      },
    }),
  );
}

Deno.test("a download recovers from a hub that is busy when asked what the file is", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    const statuses = [429, 500, 503, 504];
    hub.fault = ({ method }) => {
      const status = method === "HEAD" ? statuses.shift() : undefined;
      return status === undefined ? undefined : new Response(null, { status });
    };
    const notes: (string | undefined)[] = [];
    const repository = open("o/n", "main", { onProgress: ({ note }) => note && notes.push(note) });
    assertEquals(await Deno.readFile(defined(await repository.fetch(FILE))), WEIGHTS);
    assertEquals(statuses, []);
    assertEquals(notes[0], "the answer is 429, trying again in 1 s");
  });
});

Deno.test("a download waits longer each time, or as long as the server asks", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    const at: number[] = [];
    hub.fault = () => {
      at.push(performance.now());
      const headers: HeadersInit = at.length === 3 ? { "retry-after": "1" } : {};
      return at.length <= 3 ? new Response(null, { status: 503, headers }) : undefined;
    };
    await open("o/n", "main", { retryWaitMs: 60 }).fetch(FILE);
    const waits = at.slice(1, 4).map((time, i) => time - defined(at[i]));
    for (const [i, least] of [60, 120, 1000].entries()) assert(defined(waits[i]) >= least - 2);
  });
});

const lasting: Record<string, [Fault, string]> = {
  "wrong bytes": [
    () => new Response(new Uint8Array(WEIGHTS.length)),
    `its SHA-256 is ${sha256(new Uint8Array(WEIGHTS.length))}, and should be ${
      sha256(WEIGHTS)
    }, 3 times. Try again`,
  ],
  "too many bytes": [
    (_, right) => new Response(stream(right(), new Uint8Array(1))),
    "more than the 200000 bytes came that it should have, 3 times. Try again later",
  ],
  "nothing at all": [() => new Response(null), "ended after 0 of 200000 bytes. Run it again"],
  "503": [
    () => new Response(null, { status: 503 }),
    "its storage answered 503 Service Unavailable. Try",
  ],
  "a wait of an hour": [
    () => new Response(null, { status: 429, headers: { "retry-after": "3600" } }),
    "answered 429 Too Many Requests. Try again in 3600 s",
  ],
  "no connection": [
    () => new Response(null, { status: 302, headers: { location: nobody() } }),
    "the connection was refused",
  ],
};

for (const [name, [fault, expected]] of Object.entries(lasting)) {
  Deno.test(`a download gives up ${name} that stays, and leaves nothing behind`, async () => {
    await withHub(async (hub, cache, open) => {
      hub.add("o/n", "main", { [FILE]: WEIGHTS });
      hub.fault = (request, right) =>
        request.server === "storage" ? fault(request, right) : undefined;
      const error = await assertRejects(() => open("o/n").fetch(FILE), HttpError, expected);
      assert(error.message.startsWith(`Cannot download "${FILE}" of "o/n@main": `), error.message);
      assert(hub.requests.length <= 12, `${hub.requests.length} requests`);
      await withoutPartial(cache);
      assertEquals((await listFolder(cache)).filter((file) => file.includes("/blobs/")), []);
    });
  });
}

Deno.test("a download gives up a connection on which nothing comes", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    let stalls = 0;
    hub.fault = ({ server }, right) => {
      if (server !== "storage" || stalls++ > 0) return undefined;
      const body = defined(right().body ?? undefined);
      return new Response(
        new ReadableStream({
          async start(controller) {
            const reader = body.getReader();
            controller.enqueue((await reader.read()).value?.subarray(0, 1000));
            await reader.cancel();
          },
        }),
      );
    };
    const repository = open("o/n", "main", { stallMs: 1000 });
    assertEquals(await Deno.readFile(defined(await repository.fetch(FILE))), WEIGHTS);
    assertEquals(offsets(hub), [0, 1000]);
  });
});

Deno.test("a download throws away a partial file that is not of this content", async () => {
  for (const length of [100, WEIGHTS.length, WEIGHTS.length + 1]) {
    await withHub(async (hub, cache, open) => {
      hub.add("o/n", "main", { [FILE]: WEIGHTS });
      await Deno.mkdir(`${cache}/models--o--n/blobs`, { recursive: true });
      await Deno.writeFile(`${cache}/${BLOB}.incomplete`, new Uint8Array(length));
      assertEquals(await Deno.readFile(defined(await open("o/n").fetch(FILE))), WEIGHTS);
      await withoutPartial(cache);
    });
  }
});

Deno.test("a download of unknown length ends where the server ends it, and is checked", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { [FILE]: WEIGHTS });
    let cuts = 0;
    hub.fault = ({ server, method, headers }, right) => {
      if (server === "hub") {
        const answer = right();
        answer.headers.delete("x-linked-size");
        return answer;
      }
      assertEquals(method, "GET");
      // The whole file comes, and then the connection breaks before it says so.
      const headersToBreak = { "content-length": String(WEIGHTS.length + 1) };
      if (cuts++ === 0) {
        return cut(new Response(WEIGHTS.slice(), { headers: headersToBreak }), WEIGHTS.length);
      }
      assertEquals(headers.get("range"), `bytes=${WEIGHTS.length}-`);
      return undefined;
    };
    assertEquals(await Deno.readFile(defined(await open("o/n").fetch(FILE))), WEIGHTS);
    assertEquals(cuts, 2);
  });
});

Deno.test("a small file is checked by git's hash, a proxy's SHA-1, or by its length alone", async () => {
  await withHub(async (hub, _cache, open) => {
    const text = new TextEncoder().encode('{"d_model":8}');
    hub.add("o/n", "main", { "config.json": text, "empty.json": "" });
    assertEquals(await Deno.readTextFile(defined(await open("o/n").fetch("empty.json"))), "");
    const bodies = [new Uint8Array(text.length), text];
    const isKnown = (etag: string) => etag !== "opaque";
    for (const etag of [gitHash(text), sha1(text), "opaque"]) {
      let count = 0;
      hub.fault = ({ method }, right) => {
        const headers = new Headers(right().headers);
        headers.set("etag", `"${etag}"`);
        return method === "HEAD"
          ? new Response(null, { headers })
          : new Response(bodies[count++], { headers });
      };
      const settings = { cache: await Deno.makeTempDir() };
      const path = defined(await open("o/n", "main", {}, settings).fetch("config.json"));
      assertEquals(await Deno.readFile(path), isKnown(etag) ? text : bodies[0]);
      await Deno.remove(settings.cache, { recursive: true });
    }
  });
});
