import { assertEquals, assertRejects } from "@std/assert";
import { parseHubId } from "../../../src/io/hub/id.ts";
import { readHubSettings } from "../../../src/io/hub/settings.ts";

const read = (variables: Record<string, string>) =>
  readHubSettings((name) => Promise.resolve(variables[name]));

Deno.test("readHubSettings() finds the cache where the Python library does", async () => {
  const caches: [Record<string, string>, string][] = [
    [{ HOME: "/h" }, "/h/.cache/huggingface/hub"],
    [{ USERPROFILE: "C:\\h" }, "C:\\h/.cache/huggingface/hub"],
    [{ HOME: "/h", XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ HOME: "/h", XDG_CACHE_HOME: "/x", HF_HOME: "~/f" }, "/h/f/hub"],
    [{ HOME: "/h", HF_HOME: "/f", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HOME: "/h", HF_HUB_CACHE: "/new/", HUGGINGFACE_HUB_CACHE: "/old" }, "/new"],
    [{ HF_HOME: "", HF_HUB_CACHE: "", HOME: "/h" }, "/h/.cache/huggingface/hub"],
  ];
  for (const [variables, cache] of caches) assertEquals((await read(variables)).cache, cache);
  await assertRejects(() => read({}), TypeError, "Run with --allow-env=HOME,");
});

Deno.test("readHubSettings() reads the token, the address and whether to be offline", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const settings = await read({ HF_HOME: folder });
    assertEquals(settings, {
      cache: `${folder}/hub`,
      endpoint: "https://huggingface.co",
      offline: false,
      token: undefined,
    });
    await Deno.writeTextFile(`${folder}/token`, "from the file\n");
    await Deno.writeTextFile(`${folder}/empty`, "\n");
    const token = async (variables: Record<string, string>) =>
      (await read({ HF_HOME: folder, ...variables })).token;
    assertEquals(await token({}), "from the file");
    assertEquals(await token({ HUGGING_FACE_HUB_TOKEN: "old" }), "old");
    assertEquals(await token({ HF_TOKEN: " new\n", HUGGING_FACE_HUB_TOKEN: "old" }), "new");
    assertEquals(await token({ HF_TOKEN_PATH: `${folder}/empty` }), undefined);
    const others = await read({
      HF_HOME: folder,
      HF_ENDPOINT: "http://m/x/",
      HF_HUB_OFFLINE: "True",
    });
    assertEquals([others.endpoint, others.offline], ["http://m/x", true]);
    assertEquals((await read({ HF_HOME: folder, HF_HUB_OFFLINE: "0" })).offline, false);
    for (const HF_ENDPOINT of ["mirror", "ftp://mirror"]) {
      await assertRejects(
        () => read({ HF_HOME: folder, HF_ENDPOINT }),
        TypeError,
        `Cannot use HF_ENDPOINT: it is "${HF_ENDPOINT}", and it must be`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parseHubId() tells the names of a hub from paths", () => {
  const repository = "state-spaces/mamba-130m-hf";
  assertEquals(parseHubId(repository), { repository, revision: undefined });
  for (const revision of ["main", "v1.0", "refs/pr/1", "feature/x-y_z", "0".repeat(40)]) {
    assertEquals(parseHubId(`${repository}@${revision}`), { repository, revision });
  }
  const others = [
    "a",
    "a/b/c",
    "/a/b",
    "./a",
    "../a",
    "a/",
    "/a",
    "a/..",
    "a/b@",
    "a/b@..",
    "a/b@/c",
  ];
  const more = [
    "a/b@c/../d",
    "a/b@c//d",
    "a/b@.c",
    "a/b@-c",
    "a b/c",
    "-a/b",
    "a/b.",
    "a--b/c",
    "a\\b/c",
  ];
  for (const text of [...others, ...more, "", "a/b@c d", `${"a".repeat(97)}/b`]) {
    assertEquals(parseHubId(text), undefined, text);
  }
});
