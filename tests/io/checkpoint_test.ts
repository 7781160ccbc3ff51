import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromBytes } from "../../src/io/byte_source.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { HttpError } from "../../src/io/http/source.ts";
import { SafetensorsError } from "../../src/io/safetensors/safetensors.ts";
import { openShardedSafetensors } from "../../src/io/safetensors/index_file.ts";
import { encodeSafetensors } from "../../src/io/safetensors/writer.ts";
import { ZipError } from "../../src/io/pytorch/zip_directory.ts";

const GOLDEN = new URL("../golden/", import.meta.url);
const ONE = { name: "a", dtype: "U8", shape: [1], bytes: Uint8Array.of(7) } as const;

async function withFolder(
  files: Record<string, string | Uint8Array>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      if (typeof content === "string") await Deno.writeTextFile(`${folder}/${name}`, content);
      else await Deno.writeFile(`${folder}/${name}`, content);
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Serves the golden folders with or without ranges. */
async function withServer(ranges: boolean, test: (base: string) => Promise<void>): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await Deno.readFile(new URL(`.${new URL(request.url).pathname}`, GOLDEN));
    } catch {
      return new Response("not found", { status: 404 });
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "");
    if (!ranges || range === null) return new Response(bytes);
    const [first, last] = [Number(range[1]), Number(range[2])];
    const headers = { "content-range": `bytes ${first}-${last}/${bytes.length}` };
    return new Response(bytes.slice(first, last + 1), { status: 206, headers });
  });
  try {
    await test(`http://127.0.0.1:${server.addr.port}/`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("openCheckpoint() gives the same tensors from one file, from shards and from PyTorch's", async () => {
  using single = await openCheckpoint(new URL("mamba1", GOLDEN));
  using sharded = await openCheckpoint(new URL("mamba1-sharded/", GOLDEN));
  using raw = await openCheckpoint(new URL("mamba1-raw/", GOLDEN));
  assert(single.tensors.tensors.size > 10);
  for (const { name } of single.tensors.tensors.values()) {
    const bytes = await single.tensors.read(name);
    assertEquals(await sharded.tensors.read(name), bytes, name);
    assertEquals(await sharded.tensors.read(name, 4, 12), bytes.slice(4, 12), name);
    assertEquals(await raw.tensors.read(name.replace("embeddings", "embedding")), bytes, name);
  }
  assertEquals(sharded.tensors.tensors.size, single.tensors.tensors.size);
  assertEquals((await single.readText("tokenizer.json"))?.startsWith("{"), true);
  assertEquals(await sharded.readText("tokenizer.json"), undefined);
});

for (const ranges of [true, false]) {
  Deno.test(`openCheckpoint() loads over http from a server ${ranges ? "with" : "without"} ranges`, async () => {
    await withServer(ranges, async (base) => {
      using local = await openCheckpoint(new URL("mamba1/", GOLDEN));
      for (const path of ["mamba1", "mamba1/", "mamba1/model.safetensors", "mamba1-sharded"]) {
        using remote = await openCheckpoint(base + path);
        assertEquals(remote.config, local.config, path);
        const [name] = [...local.tensors.tensors.keys()].slice(-1);
        assertEquals(await remote.tensors.read(name ?? ""), await local.tensors.read(name ?? ""));
      }
      using remote = await openCheckpoint(`${base}mamba1?key=1`);
      assertEquals(await remote.readText("tokenizer.json"), await local.readText("tokenizer.json"));
      assertEquals(await remote.readText("labels.txt"), undefined);
      await assertRejects(
        () => openCheckpoint(`${base}missing`),
        Deno.errors.NotFound,
        "looked for",
      );
    });
  });
}

Deno.test("openCheckpoint() does not take a refusal for an absence", async () => {
  const answer = () => Promise.resolve(new Response("", { status: 401 }));
  await assertRejects(() => openCheckpoint("https://x/y", { fetch: answer }), HttpError, "401");
});

Deno.test("openCheckpoint() opens a single file, with the config beside it or with none", async () => {
  const weights = encodeSafetensors([ONE]);
  await withFolder({ "w.safetensors": weights, "v.safetensors": weights }, async (folder) => {
    using bare = await openCheckpoint(`${folder}/w.safetensors`);
    assertEquals([bare.config, bare.tensors.tensors.size], [undefined, 1]);
    await Deno.writeTextFile(`${folder}/config.json`, '{"d_model":3}');
    using file = await openCheckpoint(new URL(`file://${folder}/w.safetensors`));
    assertEquals(file.config, { d_model: 3 });
    await assertRejects(() => file.readText("../x"), RangeError, "plain name");
    await assertRejects(() => file.readText(".."), RangeError, "plain name");
  });
});

Deno.test("openCheckpoint() takes params.json and one consolidated file where there is nothing else", async () => {
  const consolidated = encodeSafetensors([ONE]);
  const files = { "consolidated.safetensors": consolidated, "params.json": '{"dim":3}' };
  await withFolder(files, async (folder) => {
    using alone = await openCheckpoint(folder);
    assertEquals([alone.config, alone.configName], [{ dim: 3 }, "params.json"]);
    assertEquals([...alone.tensors.tensors.keys()], [ONE.name]);
    await Deno.writeTextFile(`${folder}/config.json`, '{"hidden_size":4}');
    await Deno.writeFile(`${folder}/model.safetensors`, encodeSafetensors([{ ...ONE, name: "b" }]));
    using both = await openCheckpoint(folder);
    assertEquals([both.config, both.configName], [{ hidden_size: 4 }, "config.json"]);
    assertEquals([...both.tensors.tensors.keys()], ["b"]);
  });
});

Deno.test("openCheckpoint() reads the infinity that Python writes, and leaves text alone", async () => {
  const text = '{"limit": [0.0, Infinity, -Infinity], "Infinity": "an \\"Infinity\\" of them"}';
  const files = { "model.safetensors": encodeSafetensors([ONE]), "config.json": text };
  await withFolder(files, async (folder) => {
    using checkpoint = await openCheckpoint(folder);
    assertEquals(checkpoint.config, {
      limit: [0, Infinity, -Infinity],
      Infinity: 'an "Infinity" of them',
    });
  });
});

Deno.test("openCheckpoint() tells a file of any name by its first bytes", async () => {
  const files = { state: encodeSafetensors([ONE]), "state.7": encodeSafetensors([ONE]) };
  await withFolder({ ...files, zip: new Uint8Array([0x50, 0x4b]) }, async (folder) => {
    for (const name of ["state", "state.7"]) {
      using file = await openCheckpoint(`${folder}/${name}`);
      assertEquals(file.tensors.tensors.size, 1);
    }
    await assertRejects(() => openCheckpoint(`${folder}/zip`), ZipError);
  });
});

Deno.test("openCheckpoint() says what is missing and what it looked for", async () => {
  const { NotFound } = Deno.errors;
  await assertRejects(() => openCheckpoint("/no/such/folder"), NotFound, "no such folder or file");
  const weights = encodeSafetensors([ONE]);
  await withFolder(
    { "config.json": "{}" },
    (folder) =>
      assertRejects(() => openCheckpoint(folder), NotFound, "pytorch_model.bin.index.json").then(
        () => {},
      ),
  );
  await withFolder(
    { "model.safetensors": weights },
    (folder) =>
      assertRejects(() => openCheckpoint(`${folder}/`), NotFound, "no config.json").then(() => {}),
  );
  await withFolder(
    { "config.json": "{}", "model.safetensors.index.json": '{"weight_map":{"a":"s"}}' },
    (folder) =>
      assertRejects(
        () => openCheckpoint(folder),
        NotFound,
        '"s", which is not there',
      ).then(() => {}),
  );
  await assertRejects(() => openCheckpoint(new URL("ftp://x/y")), TypeError, '"ftp:"');
});

Deno.test("openCheckpoint() refuses a config that is not JSON, not text or too large", async () => {
  const weights = { "model.safetensors": encodeSafetensors([ONE]) };
  const refused = async (config: string | Uint8Array, kind: ErrorConstructor, found: string) =>
    await withFolder({ ...weights, "config.json": config }, async (folder) => {
      await assertRejects(() => openCheckpoint(folder), kind, found);
    });
  await refused("{", SyntaxError, "config.json");
  await refused(Uint8Array.of(0x22, 0xff, 0x22), SyntaxError, "not UTF-8");
  await refused(new Uint8Array(10_000_001), RangeError, "at most 10000000");
});

Deno.test("openCheckpoint() needs leave to read the folder and no other", async () => {
  const url = new URL("./fixture_open_checkpoint.ts", import.meta.url);
  const folder = new URL("mamba1", GOLDEN).pathname;
  using local = await openCheckpoint(folder);
  const characters = (await local.readText("tokenizer.json"))?.length;
  const expected = `mamba ${local.tensors.tensors.size} ${characters}`;
  await withServer(true, async (base) => {
    const host = new URL(base).host;
    for (
      const [permission, location] of [[`--allow-read=${folder}`, folder], [
        `--allow-net=${host}`,
        `${base}mamba1`,
      ]]
    ) {
      const args = ["run", "--no-prompt", permission ?? "", url.pathname, location ?? ""];
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      const output = new TextDecoder().decode(code === 0 ? stdout : stderr);
      assertEquals(output.trim(), expected, permission);
    }
  });
});

const shards = (files: Record<string, Uint8Array>) => {
  const opened: string[] = [];
  const open = (file: string) => {
    opened.push(file);
    const bytes = files[file];
    if (bytes === undefined) return Promise.reject(new Deno.errors.NotFound(file));
    return Promise.resolve(fromBytes(file, bytes));
  };
  return { opened, open };
};

Deno.test("openShardedSafetensors() opens each shard once and keeps the index's order", async () => {
  const b = encodeSafetensors([{ ...ONE, name: "b" }, { ...ONE, name: "c" }], { format: "pt" });
  const { opened, open } = shards({ x: encodeSafetensors([ONE]), y: b });
  const index = { metadata: {}, weight_map: { c: "y", a: "x", b: "y" } };
  using file = await openShardedSafetensors(index, "i.json", open);
  assertEquals(opened, ["y", "x"]);
  assertEquals([...file.tensors.keys()], ["c", "a", "b"]);
  assertEquals(file.metadata.get("format"), "pt");
  assertEquals([...await file.read("b")], [7]);
});

Deno.test("openShardedSafetensors() refuses an index that its shards contradict", async () => {
  const a = encodeSafetensors([ONE]);
  const both = encodeSafetensors([ONE, { ...ONE, name: "b" }]);
  const cases: [unknown, Record<string, Uint8Array>, string][] = [
    [null, {}, "no weight_map"],
    [{ weight_map: [] }, {}, "no weight_map"],
    [{ weight_map: {} }, {}, "empty"],
    [{ weight_map: { a: 1 } }, {}, 'no file name for "a"'],
    [{ weight_map: { a: "../x" } }, {}, "plain name"],
    [{ weight_map: { a: "/x" } }, {}, "plain name"],
    [{ weight_map: { a: "y\\x" } }, {}, "plain name"],
    [{ weight_map: { a: "https://x/y" } }, {}, "plain name"],
    [{ weight_map: { a: ".." } }, {}, "plain name"],
    [{ weight_map: { b: "x" } }, { x: a }, 'should be in "x", which lacks it'],
    [{ weight_map: { a: "x" } }, { x: both }, "the index does not name it"],
    [
      { weight_map: { a: "x", b: "y" } },
      { x: both, y: encodeSafetensors([{ ...ONE, name: "b" }]) },
      'says "y"',
    ],
    [{ weight_map: { a: "x" } }, { x: a.subarray(0, 20) }, "past the end"],
    [
      { weight_map: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [i, `s${i}`])) },
      {},
      "1001 files",
    ],
  ];
  for (const [index, files, found] of cases) {
    await assertRejects(
      () => openShardedSafetensors(index, "i.json", shards(files).open),
      SafetensorsError,
      found,
    );
  }
});

Deno.test("openShardedSafetensors() closes the shards that it opened when a later one fails", async () => {
  let closed = 0;
  const open = (file: string) =>
    file === "y" ? Promise.reject(new Error("gone")) : Promise.resolve({
      ...fromBytes(file, encodeSafetensors([ONE])),
      [Symbol.dispose]: () => void closed++,
    });
  await assertRejects(
    () => openShardedSafetensors({ weight_map: { a: "x", b: "y" } }, "i.json", open),
    Error,
    "gone",
  );
  assertEquals(closed, 1);
});
