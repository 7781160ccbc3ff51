import { assert, assertEquals } from "@std/assert";

/** Names of the npm packages in Deno's cache. */
async function packages(cache: string): Promise<string[]> {
  const names: string[] = [];
  for await (const registry of Deno.readDir(`${cache}/npm`)) {
    if (!registry.isDirectory) continue;
    for await (const { name } of Deno.readDir(`${cache}/npm/${registry.name}`)) names.push(name);
  }
  return names.toSorted();
}

Deno.test("infer.ts downloads libraries, and no data set that was not asked for", async () => {
  const cache = await Deno.makeTempDir();
  try {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-read", "infer.ts", "inspect", "tests/golden/mamba1"],
      ...{ cwd: new URL("../", import.meta.url), env: { DENO_DIR: cache }, stdin: "null" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const found = await packages(cache);
    assert(found.includes("deno-std"), found.join(", "));
    assertEquals(found.filter((name) => /mnist|cifar/.test(name)), []);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
