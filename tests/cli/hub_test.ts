import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { LoadLine } from "../../src/cli/infer/load_line.ts";
import { HUB_VARIABLES } from "../../src/io/hub/settings.ts";
import { goldenPath } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import { FakeTerminal } from "./terminal/fake_terminal.ts";

const PROGRAM = new URL("../../infer.ts", import.meta.url).pathname;
const HF = ["config.json", "model.safetensors", "tokenizer.json"];

/** What somebody has set who runs these tests counts for nothing. */
const UNSET = { HF_HUB_CACHE: "", HF_HUB_OFFLINE: "", HF_TOKEN: "", HF_TOKEN_PATH: "" };

/** Runs infer.ts with a hub and the flags that the README names for one. */
async function run(
  hub: LocalHub,
  home: string,
  args: string[],
  others: Record<string, string> = {},
) {
  const { host } = new URL(hub.endpoint);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", `--allow-read=${home}`, `--allow-write=${home}`],
      ...[`--allow-net=${host.replace(/:.*/, "")}`, `--allow-env=${HUB_VARIABLES}`],
      ...[PROGRAM, ...args],
    ],
    env: { NO_COLOR: "1", HF_ENDPOINT: hub.endpoint, HF_HOME: home, ...UNSET, ...others },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function withHub(test: (hub: LocalHub, home: string) => Promise<void>): Promise<void> {
  await using hub = new LocalHub();
  const home = await Deno.makeTempDir();
  try {
    await test(hub, home);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("infer.ts generates from a model on a hub, and again from the cache", async () => {
  await withHub(async (hub, home) => {
    hub.addFolder("owner/name", "main", goldenPath("mamba1"), HF);
    hub.private.set("owner/name", "secret");
    const options = ["--prompt", "Hey", "--max-tokens", "12", "--temperature", "0", "--seed", "1"];
    const { stdout: expected } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", PROGRAM, "generate", goldenPath("mamba1"), ...options],
    }).output();
    const command = ["generate", "owner/name", ...options];
    const online = await run(hub, home, command, { HF_TOKEN: "secret" });
    assertEquals(
      [online.code, online.stdout],
      [0, new TextDecoder().decode(expected)],
      online.stderr,
    );
    assertMatch(online.stderr, /Model: owner\/name, .+ of weights/);
    hub.requests.length = 0;
    const offline = await run(hub, home, command, { HF_HUB_OFFLINE: "1" });
    assertEquals([offline.code, offline.stdout], [0, online.stdout], offline.stderr);
    assertEquals(hub.requests, []);
  });
});

Deno.test("infer.ts inspects a model on a hub", async () => {
  await withHub(async (hub, home) => {
    hub.addFolder("owner/name", "v2", goldenPath("mamba1"), HF);
    const { code, stdout, stderr } = await run(hub, home, ["inspect", "owner/name@v2", "--json"]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(JSON.parse(stdout).kind, "model");
    // By its address there, only what is shown is read.
    hub.requests.length = 0;
    const url = `${hub.endpoint}/owner/name/resolve/v2`;
    assertEquals((await run(hub, home, ["inspect", url, "--json"])).stdout, stdout);
    const weights = hub.requests.filter(({ server }) => server === "storage");
    assert(weights.length > 0 && weights.every(({ headers }) => headers.has("range")));
  });
});

Deno.test("infer.ts asks for leave to read the environment where a hub's cache depends on it", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net", PROGRAM, "inspect", "owner/name"],
    stdin: "null",
  }).output();
  assertEquals(code, 1);
  assertStringIncludes(
    new TextDecoder().decode(stderr),
    `Cannot find a folder for downloads: none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME is set, or may be ` +
      `read. Run with --allow-env=${HUB_VARIABLES}`,
  );
});

Deno.test("infer.ts says in one line what a hub refuses, and what to do", async () => {
  await withHub(async (hub, home) => {
    hub.add("owner/name", "main", {});
    hub.add("owner/gated", "main", {});
    hub.private.set("owner/gated", "secret");
    const refused: [string, string][] = [
      ["owner/nothing", `Check the name at ${hub.endpoint}/owner/nothing, or set HF_TOKEN`],
      ["owner/name@v9", `there is no revision "v9". See ${hub.endpoint}/owner/name/tree/main`],
      ["owner/gated", `access must be asked for. Ask at ${hub.endpoint}/owner/gated`],
      [
        "owner/nothing",
        'Cannot load "owner/nothing": there is no such folder. As a model of the hub: Cannot',
      ],
      ["owner/name", 'Cannot load "owner/name@main": it has no weights: looked for'],
    ];
    for (const [id, expected] of refused) {
      const { code, stdout, stderr } = await run(hub, home, ["generate", id, "--prompt", "Hey"]);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /^Cannot .+\n$/);
      assertStringIncludes(stderr, expected);
    }
  });
});

Deno.test("LoadLine shows a download with its rate and the time left, then the way to the GPU", () => {
  const terminal = new FakeTerminal({ rewrites: true });
  const times = [0, 0, 1000, 2000, 2000, 2000, 3000, 4000];
  const now = () => times.shift() ?? 5000;
  using line = new LoadLine(terminal, now);
  const download = (loadedBytes: number, note?: string) =>
    line.update({
      stage: "download",
      file: "model.safetensors",
      loadedBytes,
      totalBytes: 4e6,
      note,
    });
  download(0);
  download(1e6);
  download(2e6, "the answer is 503, trying again in 4 s");
  const shown = terminal.stderr.split("\r\x1b[K").slice(1);
  assertEquals(shown, [
    "Downloading: 1.00 MB of 4.00 MB, 1.00 MB/s, 3.00 s left, model.safetensors",
    "Downloading: 2.00 MB of 4.00 MB, 1.00 MB/s, 2.00 s left, model.safetensors: the answer is 503, trying again " +
    "in 4 s",
  ]);
  terminal.stderr = "";
  for (const loadedBytes of [0, 1e6]) {
    line.update({ stage: "load", tensor: "A_log", loadedBytes, totalBytes: 2e6 });
  }
  assert(
    terminal.stderr.startsWith("\r\x1b[K\r\x1b[KLoading: 1.00 MB of 2.00 MB"),
    terminal.stderr,
  );
});

Deno.test("LoadLine writes into a log, once, what a download waits for", () => {
  const terminal = new FakeTerminal();
  using line = new LoadLine(terminal);
  const step = { stage: "download", file: "a.bin", loadedBytes: 0, totalBytes: undefined } as const;
  for (const note of ["another process downloads it", "another process downloads it", undefined]) {
    line.update({ ...step, note });
  }
  assertEquals(terminal.stderr, "Downloading a.bin: another process downloads it\n");
});
