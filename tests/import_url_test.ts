import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { goldenPath, readGoldenJson } from "./golden_files.ts";

const ROOT = new URL("../", import.meta.url);
const TYPES: Record<string, string> = { ts: "application/typescript", json: "application/json" };
const IDS = readGoldenJson<number[]>("mamba1", "ids.json");
const GREEDY = readGoldenJson<number[]>("mamba1", "greedy.json").slice(0, 8);

/** What somebody writes who has nothing but the URL of mod.ts. */
function program(host: string, checkpoint: string): string {
  return `import { loadModel } from "http://${host}/mod.ts";

using model = await loadModel("${checkpoint}");
const prompt = ${JSON.stringify(IDS)};
const ids: number[] = [];
for await (const { id } of model.generate(prompt, { maxTokens: 8, temperature: 0 })) {
  ids.push(id);
}
console.log(JSON.stringify(ids));
`;
}

/** Serves the repository as a server of static files does; the test gets its host and an empty folder elsewhere. */
async function withServer(test: (host: string, folder: string) => Promise<void>): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      const bytes = await Deno.readFile(new URL(`.${pathname}`, ROOT));
      const type = TYPES[pathname.split(".").at(-1) ?? ""] ?? "text/plain";
      return new Response(bytes, { headers: { "content-type": type } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
  const folder = await Deno.makeTempDir();
  try {
    await test(`127.0.0.1:${server.addr.port}`, folder);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Where this Deno keeps npm packages. */
async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}

/**
 * Runs a program in the folder, which knows nothing of this repository. Only npm packages come from Deno's cache: its
 * modules are kept by host and port, and the next server may get this one's port.
 */
async function run(
  folder: string,
  text: string,
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  await Deno.mkdir(`${folder}/cache`, { recursive: true });
  try {
    await Deno.symlink(await npmCache(), `${folder}/cache/npm`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  await Deno.writeTextFile(`${folder}/main.ts`, text);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", "--no-lock", "--no-prompt", ...args, "main.ts"],
    cwd: folder,
    env: { NO_COLOR: "1", DENO_DIR: `${folder}/cache` },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The program prints the greedy ids with these permissions, and names the one that is missing without any of them. */
async function assertNeeds(
  folder: string,
  text: string,
  permissions: readonly string[],
): Promise<void> {
  const { code, stdout, stderr } = await run(folder, text, ["--check", ...permissions]);
  assertEquals(code, 0, stderr);
  assertEquals(JSON.parse(stdout), GREEDY);
  for (const left of permissions) {
    const refused = await run(folder, text, permissions.filter((other) => other !== left));
    assert(refused.code !== 0, `it runs without ${left}, too`);
    assertStringIncludes(refused.stderr, left.replace(/=.*/, ""));
  }
}

Deno.test("mod.ts imported by URL streams a checkpoint on the web with --allow-net of its host alone", async () => {
  await withServer(async (host, folder) => {
    await assertNeeds(folder, program(host, `http://${host}/tests/golden/mamba1`), [
      `--allow-import=${host}`,
      `--allow-net=${host}`,
    ]);
  });
});

Deno.test("mod.ts imported by URL streams a checkpoint in a folder with --allow-read of it alone", async () => {
  await withServer(async (host, folder) => {
    await Deno.mkdir(`${folder}/checkpoint`);
    for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) {
      await Deno.copyFile(goldenPath("mamba1", file), `${folder}/checkpoint/${file}`);
    }
    await assertNeeds(folder, program(host, "checkpoint"), [
      `--allow-import=${host}`,
      "--allow-read=checkpoint",
    ]);
  });
});
