import { assert, assertEquals, assertRejects } from "@std/assert";
import { HttpError, openUrl } from "../../../src/io/http/source.ts";
import type { ByteSource } from "../../../src/io/byte_source.ts";

const DATA = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);

function expected(offset: number, length: number): number[] {
  return [...DATA.subarray(offset, offset + length)];
}

/** A range request's first and last byte. */
function rangeOf(request: Request): [number, number] {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
  return [Number(first), Number(last)];
}

/** Answers as a server with ranges does. */
function ranged(
  request: Request,
  headers: Record<string, string> = {},
  size = DATA.length,
): Response {
  const [first, last] = rangeOf(request);
  return new Response(DATA.slice(first, last + 1), {
    status: 206,
    headers: { "content-range": `bytes ${first}-${last}/${size}`, ...headers },
  });
}

/** Runs a server on loopback for the length of `test`. */
async function withServer(
  handler: (request: Request, count: number) => Response | Promise<Response>,
  test: (url: string) => Promise<void>,
): Promise<void> {
  let count = 0;
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => handler(request, count++),
  );
  try {
    await test(`http://127.0.0.1:${server.addr.port}/dir/file.bin?token=secret`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("openUrl() reads ranges, each with one request", async () => {
  const ranges: [number, number][] = [];
  await withServer((request) => {
    ranges.push(rangeOf(request));
    return ranged(request);
  }, async (url) => {
    using source = await openUrl(url);
    assertEquals(source.sizeBytes, DATA.length);
    const parts = await Promise.all([
      source.read(100_000, 50),
      source.read(3, 4),
      source.read(9, 0),
    ]);
    assertEquals(parts.map((part) => [...part]), [expected(100_000, 50), expected(3, 4), []]);
    assertEquals(ranges, [[0, 0], [100_000, 100_049], [3, 6]]);
    await assertRejects(() => source.read(199_999, 2), RangeError, "200000 bytes held");
  });
});

Deno.test("openUrl() reads a server without ranges as a stream, starting anew only to go back", async () => {
  let requests = 0;
  await withServer(() => {
    requests++;
    return new Response(DATA);
  }, async (url) => {
    using source = await openUrl(url);
    assertEquals(source.sizeBytes, DATA.length);
    for (const [offset, length] of [[0, 8], [8, 100_000], [150_000, 10], [199_990, 10]] as const) {
      assertEquals([...await source.read(offset, length)], expected(offset, length));
    }
    assertEquals(requests, 1);
    assertEquals([...await source.read(5, 3)], expected(5, 3));
    assertEquals(requests, 2);
    const [late, early] = await Promise.all([source.read(1000, 2), source.read(10, 2)]);
    assertEquals([[...late], [...early]], [expected(1000, 2), expected(10, 2)]);
  });
});

Deno.test("openUrl() finds the size of a stream that does not give it", async () => {
  await withServer(() => new Response(new Blob([DATA]).stream()), async (url) => {
    using source = await openUrl(url);
    assertEquals(source.sizeBytes, DATA.length);
    assertEquals([...await source.read(70_000, 5)], expected(70_000, 5));
  });
});

Deno.test("openUrl() opens an empty file", async () => {
  const unsatisfied = { status: 416, headers: { "content-range": "bytes */0" } };
  for (const answer of [() => new Response(null, unsatisfied), () => new Response("")]) {
    await withServer(answer, async (url) => {
      using source = await openUrl(url);
      assertEquals(source.sizeBytes, 0);
      assertEquals((await source.read(0, 0)).length, 0);
    });
  }
});

for (const status of [401, 403, 404, 500, 503]) {
  Deno.test(`openUrl() refuses status ${status}, naming it and the URL without its secrets`, async () => {
    await withServer(() => new Response("no", { status }), async (url) => {
      const error = await assertRejects(() => openUrl(url), HttpError, `answered ${status}`);
      assert(error instanceof HttpError);
      assertEquals(error.status, status);
      assert(error.message.includes("/dir/file.bin") && !error.message.includes("secret"));
    });
  });
}

const FAULTS: [string, string, (request: Request, count: number) => Response][] = [
  ["an error later on", "answered 503", () => new Response("", { status: 503 })],
  ["a file that changed its size", "199999 bytes, and had 200000", (r) => ranged(r, {}, 199_999)],
  ["a file that changed its content", "changed between", (r) => ranged(r, { etag: '"2"' })],
  ["a short body", "ended after 3 of 10", (request) => {
    const headers = new Headers(ranged(request, { etag: '"1"' }).headers);
    return new Response(DATA.slice(0, 3), { status: 206, headers });
  }],
  ["a long body", "more than the 10 bytes", (request) => {
    const headers = new Headers(ranged(request, { etag: '"1"' }).headers);
    return new Response(DATA.slice(0, 30), { status: 206, headers });
  }],
  ["another range", "Content-Range", (r) => ranged(r, { "content-range": "bytes 0-9/200000" })],
  [
    "a range that begins elsewhere",
    "Content-Range",
    (r) => ranged(r, { "content-range": "bytes 99-109/200000" }),
  ],
  ["no range at all", "Content-Range", (r) => ranged(r, { "content-range": "" })],
  ["a size that is not known", "Content-Range", (r) => {
    const [first, last] = rangeOf(r);
    return ranged(r, { "content-range": `bytes ${first}-${last}/*` });
  }],
  [
    "the whole file all of a sudden",
    "whole file",
    () => new Response(DATA, { headers: { etag: '"1"' } }),
  ],
];

for (const [fault, found, answer] of FAULTS) {
  Deno.test(`openUrl() gives one error for ${fault}`, async () => {
    await withServer((request, count) => {
      if (count === 0) return ranged(request, { etag: '"1"' });
      const response = answer(request, count);
      if (!response.headers.has("etag")) response.headers.set("etag", '"1"');
      return response;
    }, async (url) => {
      using source = await openUrl(url);
      await assertRejects(() => source.read(100, 10), HttpError, found);
    });
  });
}

Deno.test("openUrl() gives one error where nobody listens, and where the connection breaks", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(() => openUrl(`http://127.0.0.1:${port}/x`), HttpError, "the request failed");

  const breaking: typeof fetch = (_url, init) => {
    const range = new Headers(init?.headers).get("range") ?? "";
    const [first, last] = range.replace("bytes=", "").split("-").map(Number);
    if (last === 0) {
      return Promise.resolve(ranged(new Request("http://x/", { headers: { range } })));
    }
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(3));
        controller.error(new TypeError("reset by peer"));
      },
    });
    const headers = { "content-range": `bytes ${first}-${last}/200000` };
    return Promise.resolve(new Response(body, { status: 206, headers }));
  };
  using source = await openUrl("http://x/y", { fetch: breaking });
  await assertRejects(() => source.read(1, 9), HttpError, "the connection broke: reset by peer");
});

Deno.test("openUrl() stops a stream that ends too early, and recovers when asked again", async () => {
  let whole = false;
  const flaky: typeof fetch = () => {
    const chunks = [DATA.slice(0, 1000), ...(whole ? [DATA.slice(1000)] : [])];
    const headers = { "content-length": String(DATA.length) };
    return Promise.resolve(new Response(ReadableStream.from(chunks), { headers }));
  };
  using source = await openUrl("http://x/y", { fetch: flaky });
  await assertRejects(() => source.read(990, 20), HttpError, "ended after 1000 of 200000");
  whole = true;
  assertEquals([...await source.read(990, 20)], expected(990, 20));
});

Deno.test("openUrl() obeys its signal", async () => {
  await withServer((request) => ranged(request), async (url) => {
    const controller = new AbortController();
    using source: ByteSource = await openUrl(url, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assertRejects(() => source.read(0, 1), Error, "enough");
    await assertRejects(() => openUrl(url, { signal: controller.signal }), Error, "enough");
  });
});

Deno.test("openUrl() closes a stream that nobody reads to its end", async () => {
  let cancelled = 0;
  const endless: typeof fetch = () => {
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
      cancel: () => void cancelled++,
    });
    return Promise.resolve(new Response(body, { headers: { "content-length": "9000000" } }));
  };
  (await openUrl("http://x/y", { fetch: endless }))[Symbol.dispose]();
  const source = await openUrl("http://x/y", { fetch: endless });
  await source.read(0, 10);
  source[Symbol.dispose]();
  await assertRejects(() => source.read(0, 1), TypeError, "closed");
  assertEquals(cancelled, 2);
});
