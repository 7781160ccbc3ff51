import { assert, assertEquals, assertRejects } from "@std/assert";
import { describeFailure, isUnknownHost } from "../../../src/io/http/failure.ts";
import { UnknownHostError } from "../../../src/io/http/requests.ts";
import { HttpError, openUrl } from "../../../src/io/http/source.ts";
import { HubClient } from "../../../src/io/hub/client.ts";
import { HubRepository } from "../../../src/io/hub/repository.ts";

/** What Deno's fetch throws: the reason is in the cause, after the address. */
function failed(reason: string): TypeError {
  const url = "http://localhost:1/x?token=secret";
  const cause = new Error(
    `error sending request for url (${url}): client error (Connect): ${reason}`,
  );
  return new TypeError("fetch failed", { cause });
}

const DNS = failed("dns error: failed to lookup address information: Name or service not known");

Deno.test("describeFailure() gives the innermost reason, without the address", () => {
  const cases: [unknown, string][] = [
    [DNS, "the host's name was not found"],
    [failed("tcp connect error: Connection refused (os error 111)"), "the connection was refused"],
    [failed("tls handshake eof"), "tls handshake eof"],
    [new TypeError("it does not exist.\n"), "it does not exist"],
    [new TypeError("Failed to fetch"), "Failed to fetch"],
    ["odd", "odd"],
  ];
  for (const [error, expected] of cases) assertEquals(describeFailure(error), expected);
  assert(isUnknownHost(DNS));
  assert(!isUnknownHost(failed("tls handshake eof")));
});

Deno.test("openUrl() says that a connection was refused", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(
    () => openUrl(`http://127.0.0.1:${port}/model.safetensors`),
    HttpError,
    "the request failed: the connection was refused",
  );
});

Deno.test("HubRepository does not ask again for a host whose name nobody knows", async () => {
  const cache = await Deno.makeTempDir();
  let asked = 0;
  const options = {
    fetch: () => {
      asked++;
      return Promise.reject(DNS);
    },
    retryWaitMs: 1,
  };
  const settings = { endpoint: "http://hub.invalid", cache, token: undefined, offline: false };
  const repository = new HubRepository("owner/name", "main", settings, options);
  await assertRejects(
    () => repository.fetch("config.json"),
    UnknownHostError,
    "the host's name was not found",
  );
  assertEquals(asked, 1);
  await Deno.remove(cache, { recursive: true });
});

Deno.test("HubClient takes a name that was known before for one that will be known again", async () => {
  const settings = { endpoint: "http://hub.invalid", cache: "", token: undefined, offline: false };
  const answers = [
    () => Promise.resolve(new Response("x", { status: 200 })),
    () => Promise.reject(DNS),
  ];
  const client = new HubClient(settings, {
    fetch: () => answers.shift()?.() ?? Promise.reject(DNS),
  });
  const file = { repository: "owner/name", revision: "main", file: "a" };
  {
    await using _first = await client.read(file, 0);
  }
  const error = await assertRejects(() => client.read(file, 0), HttpError);
  assert(!(error instanceof UnknownHostError));
});
