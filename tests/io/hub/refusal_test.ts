import { assertEquals, assertRejects } from "@std/assert";
import { HttpError } from "../../../src/io/http/source.ts";
import { listFolder, type LocalHub, type OpenRepository, withHub } from "./local_hub.ts";

const LARGE = new Uint8Array(9000);

/** What is asked for, what the hub is told to do, and what is said: the status, then what to do next. */
const refusals: [
  string,
  (hub: LocalHub, open: OpenRepository) => Promise<unknown>,
  number,
  (endpoint: string) => string,
][] = [
  [
    "401 for a repository that may be private",
    (_, open) => open("o/nothing").fetch("config.json"),
    401,
    (endpoint) =>
      'Cannot download "config.json" of "o/nothing@main": the hub answered 401 Unauthorized: there is no such ' +
      `repository, or it is private. Check the name at ${endpoint}/o/nothing, or set HF_TOKEN to a token from ` +
      `${endpoint}/settings/tokens`,
  ],
  [
    "401 for a token that is not known",
    (_, open) => open("o/nothing", "main", {}, { token: "old" }).fetch("config.json"),
    401,
    (endpoint) =>
      "the hub answered 401 Unauthorized: there is no such repository, or the token may not see it. Check the name " +
      `at ${endpoint}/o/nothing, and the token (HF_TOKEN, or the file that a login wrote) at ${endpoint}/settings/tokens`,
  ],
  [
    "401 for a gated repository",
    (_, open) => open("o/gated").fetch("config.json"),
    401,
    (endpoint) =>
      `access must be asked for. Ask at ${endpoint}/o/gated, and set HF_TOKEN to a token from ${endpoint}/settings/tokens`,
  ],
  [
    "403 for a gated repository",
    (_, open) => open("o/gated", "main", {}, { token: "other" }).fetch("config.json"),
    403,
    (endpoint) => `answered 403 Forbidden: access must be asked for. Ask at ${endpoint}/o/gated`,
  ],
  [
    "403 for nobody",
    (hub, open) => {
      hub.fault = () => new Response(null, { status: 403 });
      return open("o/n").fetch("config.json");
    },
    403,
    (endpoint) =>
      "the hub answered 403 Forbidden: it is not for everybody. Set HF_TOKEN to a token from " +
      `${endpoint}/settings/tokens that may read ${endpoint}/o/n`,
  ],
  [
    "403 for a token",
    (hub, open) => {
      hub.fault = () => new Response(null, { status: 403 });
      return open("o/n", "main", {}, { token: "mine" }).fetch("config.json");
    },
    403,
    (endpoint) => `the token may not read it. Ask for access at ${endpoint}/o/n, or set HF_TOKEN`,
  ],
  [
    "404 for a revision",
    (_, open) => open("o/n", "v2").fetch("config.json"),
    404,
    (endpoint) =>
      'Cannot download "config.json" of "o/n@v2": the hub answered 404 Not Found: there is no revision "v2". See ' +
      `${endpoint}/o/n/tree/main for those there are`,
  ],
  [
    "404 for a commit",
    (_, open) => open("o/n", "0".repeat(40)).fetch("config.json"),
    404,
    () => `there is no revision "${"0".repeat(40)}". See`,
  ],
  [
    "404 for a repository",
    (hub, open) => {
      hub.fault = () =>
        new Response(null, { status: 404, headers: { "x-error-code": "RepoNotFound" } });
      return open("o/nothing").fetch("config.json");
    },
    404,
    (endpoint) => `there is no such repository. Check the name at ${endpoint}/o/nothing`,
  ],
  [
    "404 without a word",
    (hub, open) => {
      hub.fault = () => new Response(null, { status: 404 });
      return open("o/n").fetch("config.json");
    },
    404,
    (endpoint) =>
      'the repository, the revision or the file "config.json" is not there. Check the name at ' +
      `${endpoint}/o/n`,
  ],
  [
    "another status",
    (hub, open) => {
      hub.fault = () => new Response(null, { status: 418 });
      return open("o/n").fetch("config.json");
    },
    418,
    () => "the hub answered 418 I'm a teapot",
  ],
];

for (const [name, refused, status, expected] of refusals) {
  Deno.test(`a hub's refusal says what to do next: ${name}`, async () => {
    await withHub(async (hub, cache, open) => {
      hub.add("o/n", "main", { "config.json": "{}" });
      hub.add("o/gated", "main", { "config.json": "{}" });
      hub.private.set("o/gated", "secret");
      const error = await assertRejects(
        () => refused(hub, open),
        HttpError,
        expected(hub.endpoint),
      );
      assertEquals([error.status, hub.requests.length], [status, 1]);
      assertEquals(await listFolder(cache), []);
    });
  });
}

Deno.test("a hub's 404 without a code is a missing file once the repository is known", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/n", "main", { "config.json": "{}" });
    hub.fault = (_, right) => {
      const answer = right();
      answer.headers.delete("x-error-code");
      return answer;
    };
    const repository = open("o/n");
    await repository.fetch("config.json");
    assertEquals(await repository.fetch("tokenizer.json"), undefined);
  });
});

Deno.test("a hub's token goes to the hub alone, and not to where it redirects to", async () => {
  await withHub(async (hub, _cache, open) => {
    hub.add("o/gated", "main", { "config.json": "{}", "model.safetensors": LARGE });
    hub.private.set("o/gated", "secret");
    await open("o/gated", "main", {}, { token: "secret" })
      .fetchAll(["config.json", "model.safetensors"]);
    const sent = hub.requests.map(({ server, method, headers }) =>
      `${server} ${method} ${headers.get("authorization")}`
    );
    assertEquals(sent, [
      "hub HEAD Bearer secret",
      "hub HEAD Bearer secret",
      "hub GET Bearer secret",
      "hub GET Bearer secret",
      "storage GET null",
    ]);
  });
});
