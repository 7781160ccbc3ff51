import { assert, assertEquals } from "@std/assert";
import { goldenPath } from "../golden_files.ts";

const PROGRAM = new URL("../../infer.ts", import.meta.url).pathname;
const LM = goldenPath("mamba1");
const CPU = ["--backend", "cpu", "--threads", "1"];

/** A command whose stdin stays open, and whose lines are read one by one. */
function start(args: string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", PROGRAM, ...args, ...CPU],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader();
  const stderr = new Response(child.stderr).text();
  let held = "";
  return {
    child,
    write: (text: string) => writer.write(new TextEncoder().encode(text)),
    end: () => writer.close(),
    /** The next line; nothing at the end. */
    async line(): Promise<string | undefined> {
      while (!held.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) return undefined;
        held += new TextDecoder().decode(value);
      }
      const end = held.indexOf("\n");
      const line = held.slice(0, end);
      held = held.slice(end + 1);
      return line;
    },
    leave: () => reader.cancel(),
    async ended(): Promise<{ code: number; signal: Deno.Signal | null; stderr: string }> {
      await writer.close().catch(() => {});
      while (await this.line() !== undefined);
      const { code, signal } = await child.status;
      return { code, signal, stderr: await stderr };
    },
  };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("infer.ts answers every number and every line before the next is there", async () => {
  const numbers = start(["classify", "weights/mnist", "-", "--stream"]);
  for (let i = 0; i < 5; i++) {
    await numbers.write(`${i * 50}\n`);
    assertEquals((await numbers.line())?.split("\t")[0], `${i + 1}`);
  }
  await numbers.end();
  assertEquals((await numbers.ended()).code, 0);
  const lines = start(["score", LM, "-", "--json"]);
  for (const [i, text] of ["a", "b", "\n"].entries()) {
    await lines.write(text);
    assertEquals(JSON.parse(await lines.line() ?? "").position, i);
  }
  await lines.end();
  assertEquals((await lines.ended()).code, 0);
});

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(`infer.ts saves the state of a stream that ${signal} ends while it waits`, () =>
    inFolder(async (folder) => {
      for (const command of [["score", LM, "-"], ["classify", "weights/mnist", "-", "--stream"]]) {
        const state = `${folder}/${command[0]}`;
        const run = start([...command, "--save-state", state]);
        await run.write("1\n2\n");
        await run.line();
        await run.line();
        run.child.kill(signal);
        await run.child.status;
        const ended = await run.ended();
        assertEquals([ended.code, ended.signal], [code, null], ended.stderr);
        assert((await Deno.stat(state)).size > 0);
        assert(/State: .+, after \d+ inputs\n/.test(ended.stderr), ended.stderr);
      }
    }));
}

Deno.test("infer.ts saves the state of a stream of pixels that SIGINT ends inside a row of patches", () =>
  inFolder(async (folder) => {
    const state = `${folder}/state`;
    const model = ["classify", "weights/cifar10", "-", "--stream"];
    const run = start([...model, "--save-state", state]);
    // Eight patches are four rows of 96 numbers; then comes the beginning of more, and of a number.
    await run.write("7\n".repeat(400) + "1");
    for (let i = 0; i < 8; i++) await run.line();
    run.child.kill("SIGINT");
    await run.child.status;
    const { code, stderr } = await run.ended();
    assertEquals(code, 130, stderr);
    assert(stderr.includes(`State: ${state}, after 8 inputs\n`), stderr);
  }));

Deno.test("infer.ts saves the state where the reader of a stream goes away, and ends quietly", () =>
  inFolder(async (folder) => {
    const state = `${folder}/state`;
    const run = start(["score", LM, "-", "--save-state", state]);
    await run.write("abc\n");
    await run.line();
    await run.leave();
    const stop = setInterval(() => run.write("abc\n").catch(() => clearInterval(stop)), 20);
    const { code } = await run.child.status;
    clearInterval(stop);
    assertEquals(code, 0);
    await run.end().catch(() => {});
    assert((await Deno.stat(state)).size > 0);
  }));

Deno.test("infer.ts score reads an endless text in constant memory, and no faster than its reader reads", async () => {
  const run = start(["score", LM, "-", "--json"]);
  let written = 0, isOver = false;
  const text = "a line of text\n".repeat(1000);
  const feed = (async () => {
    while (!isOver) {
      await run.write(text).catch(() => isOver = true);
      written += text.length;
    }
  })();
  await run.line();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = written;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  // Pipes are full by now, and nobody reads.
  assert(written - before <= 2 * text.length, `${before}, ${written}`);
  isOver = true;
  run.child.kill("SIGKILL");
  await feed;
  await run.ended().catch(() => {});
});

Deno.test("infer.ts generate saves the state every so often", () =>
  inFolder(async (folder) => {
    const state = `${folder}/state`;
    const args = ["generate", LM, "--prompt", "Hey", "--seed", "1", "--json"];
    const run = start([
      ...args,
      "--max-tokens",
      "1000000",
      "--save-state",
      state,
      "--save-every",
      "5",
    ]);
    const lines = [];
    for (let i = 0; i < 14; i++) lines.push(JSON.parse(await run.line() ?? ""));
    // Nothing can put it in order now: what is there is whole.
    run.child.kill("SIGKILL");
    await run.ended().catch(() => {});
    const inspected = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "-A", PROGRAM, "inspect", state, "--json"],
    }).output();
    const { metadata } = JSON.parse(new TextDecoder().decode(inspected.stdout));
    assertEquals(Number(metadata.draws) % 5, 0);
    assertEquals(Number(metadata.position), 3 + Number(metadata.draws) - 1);
  }));
