import { assert, assertEquals, assertMatch } from "@std/assert";
import { goldenPath } from "../golden_files.ts";

const PROGRAM = new URL("../../infer.ts", import.meta.url).pathname;
const LM = goldenPath("mamba1");

/** Starts `deno run infer.ts`, which may do anything unless flags say what; stdin ends at once. */
function start(args: string[], flags = ["-A"]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", ...flags, PROGRAM, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("infer.ts ends with 2 for wrong usage and with 1 for a failure, in one line each", async () => {
  for (const [args, expected] of [[["generate"], 2], [["inspect", "no/such/folder"], 1]] as const) {
    const { code, stdout, stderr } = await start([...args]).output();
    assertEquals(code, expected);
    assertEquals(text(stdout), "");
    assertMatch(text(stderr), /^Cannot .+\n$/);
  }
});

Deno.test("infer.ts without any permission asks for --allow-read, and not for a hub's alone", async () => {
  const flags = ["--no-prompt", "--deny-env"];
  const args = ["generate", "weights/mnist", "--prompt", "x"];
  const { code, stderr } = await start(args, flags).output();
  assertEquals(code, 1);
  assertMatch(
    text(stderr),
    /^Cannot read "weights\/mnist": run again with --allow-read if it is a folder. As a model of the hub: .+\n$/,
  );
});

Deno.test("infer.ts generates nothing where the state could not be saved", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (
      const [path, found] of [
        [`${folder}/no/state`, "No such file or directory"],
        [folder, "it is a folder, expected a file"],
      ] as const
    ) {
      const args = ["generate", LM, "--prompt", "x", "--max-tokens", "3", "--save-state", path];
      const { code, stdout, stderr } = await start(args).output();
      assertEquals([code, text(stdout)], [1, ""]);
      assertMatch(text(stderr), new RegExp(`^Cannot write "${path}": ${found}.*\n$`));
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer.ts ends quietly when the reader of its result goes away", async () => {
  const child = start([
    "generate",
    LM,
    "--prompt",
    "Hey",
    "--seed",
    "1",
    "--max-tokens",
    "1000000",
  ]);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert(value !== undefined && value.length > 0);
  await reader.cancel();
  const [{ code }, stderr] = await Promise.all([child.status, new Response(child.stderr).text()]);
  assertEquals(code, 0, stderr);
  assert(!/panic|BrokenPipe|Broken pipe|\n {4}at /.test(stderr), stderr);
});

Deno.test("infer.ts saves the state where Ctrl-C ended it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const state = `${folder}/state.safetensors`;
    const child = start([
      ...["generate", LM, "--prompt", "Hey", "--seed", "1", "--max-tokens", "1000000"],
      ...["--save-state", state, "--json"],
    ]);
    const reader = child.stdout.getReader();
    let output = text((await reader.read()).value ?? new Uint8Array());
    child.kill("SIGINT");
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      output += text(part.value);
    }
    const [{ code, signal }, stderr] = await Promise.all([
      child.status,
      new Response(child.stderr).text(),
    ]);
    assertEquals([code, signal], [130, null], stderr);
    const lines = output.trimEnd().split("\n").map((line) => JSON.parse(line));
    const { statistics } = lines.pop();
    assertEquals(statistics.tokens, lines.length);
    // Three bytes of prompt, and every token but the last is consumed.
    const { metadata } = JSON.parse(
      text((await start(["inspect", state, "--json"]).output()).stdout),
    );
    assertEquals(metadata.position, String(3 + lines.length - 1));
    assertEquals(metadata.pendingToken, String(lines.at(-1).id));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer.ts needs no more leave than README.md says: to read the model, to read and write where it saves", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const command = ["generate", LM, "--prompt", "Hey", "--max-tokens", "2"];
    const save = [...command, "--save-state", `${folder}/state.safetensors`];
    const cases: [string[], string[]][] = [
      [command, [`--allow-read=${LM}`]],
      [save, [`--allow-read=${LM},${folder}`, `--allow-write=${folder}`]],
      [["inspect", `${folder}/state.safetensors`], [`--allow-read=${folder}`]],
    ];
    for (const [args, flags] of cases) {
      const { code, stderr } = await start(args, flags).output();
      assertEquals(code, 0, text(stderr));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
