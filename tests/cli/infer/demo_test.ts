import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { parseArguments } from "../../../src/cli/terminal/arguments.ts";
import { DEMO, demo } from "../../../src/cli/infer/demo/demo.ts";
import { infer } from "../../../src/cli/infer/infer.ts";
import { loadMnist } from "../../../src/io/datasets/mnist.ts";
import { decodePng } from "../../../src/io/images/png.ts";
import { defined } from "../../defined.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { writeStandIns } from "../stand_in_weights.ts";
import "../../settle_readbacks.ts";

const ROOT = new URL("../../../", import.meta.url);

/** What is printed where nothing can be drawn twice, from a model that guesses. */
const TRANSCRIPT = new RegExp(
  [
    "^A digit of MNIST's test set goes into weights/mnist \\([\\d.]+ [kM]B\\), one (pixel|row) a step:\n\n",
    "( *[▀▄█][ ▀▄█]*\n){8,14}\n",
    "(pixel (112|224|336|448|560|672|784)(   \\d +\\d+\\.\\d%){3}\n){7}",
    "It is a \\d, and the model says (so|\\d) \\(\\d+\\.\\d%\\)\\. ",
    "784 pixels at [\\d.,]+/s, [\\d.]+ kB of state after each\n\n",
    "And weights/shakespeare \\([\\d.]+ [kM]B\\) writes, one character a step:\n\n",
    "([A-Za-z \n!$&',.:;?3-]{300,380})\n\n",
    "\\d+ tokens at [\\d.,]+/s, [\\d.]+ kB of state after each\n$",
  ].join(""),
);

async function withStandIns(test: (weights: URL) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await writeStandIns(folder);
    await test(new URL(`file://${folder}/`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const seeded = (seed: string) => parseArguments(DEMO, ["--seed", seed]);

Deno.test("demo() prints a short account where stdout is no terminal, the same for the same seed", () =>
  withStandIns(async (weights) => {
    const terminal = new FakeTerminal({ stdin: "" });
    assertEquals(await demo(seeded("123"), terminal, weights), 0);
    assertMatch(terminal.stdout, TRANSCRIPT);
    assertMatch(terminal.stderr, /^Seed: 123\nDevice: .+\n$/);
    const again = new FakeTerminal({ stdin: "", screen: { columns: 40, rows: 10 } });
    const text = (stdout: string) => defined(stdout.split("step:\n\n")[2]).slice(0, 300);
    assertEquals(await demo(seeded("123"), again, weights), 0);
    assertEquals(text(again.stdout), text(terminal.stdout));
    // The screen is too small to draw on: no escape sequence then.
    assert(!again.stdout.includes("\x1b"));
    assert(again.stdout.startsWith(terminal.stdout.slice(0, terminal.stdout.indexOf("pixel "))));
  }));

Deno.test("demo() draws the digit as it comes on a terminal, and shows the cursor again", () =>
  withStandIns(async (weights) => {
    const terminal = new FakeTerminal({ screen: { columns: 80, rows: 24 }, colors: true });
    assertEquals(await demo(seeded("7"), terminal, weights), 0);
    const { stdout } = terminal;
    const hidden = stdout.indexOf("\x1b[?25l"), shown = stdout.indexOf("\x1b[?25h");
    assert(hidden > 0 && shown > hidden, `${hidden} ${shown}`);
    const frames = stdout.slice(hidden, shown).split("\x1b[14A");
    assert(frames.length > 5, `${frames.length} frames`);
    for (const frame of frames) {
      // deno-lint-ignore no-control-regex
      const lines = frame.replaceAll(/\x1b\[[^A-Za-z]*[A-Za-z]|\r/g, "").split("\n");
      assertEquals(lines.length, 15);
      assert(lines.every((line) => line.length < 80), frame);
      assertMatch(frame, /pixel \d+ of 784/);
    }
    assertMatch(defined(frames.at(-1)), /pixel 784 of 784/);
    assert(stdout.includes("\x1b[38;5;"));
    assert(stdout.slice(shown).startsWith("\x1b[?25hIt is a 7, and the model says"));
  }));

Deno.test("demo() says where there are no models", async () => {
  const missing = new URL("no/such/folder/", ROOT);
  await assertRejects(
    () => demo(seeded("1"), new FakeTerminal(), missing),
    Deno.errors.NotFound,
    "there is no such folder",
  );
});

Deno.test("infer() is the demonstration without a command", async () => {
  const terminal = new FakeTerminal();
  assertEquals(await infer(["--sede", "1"], terminal), 2);
  assertMatch(terminal.stderr, /^Cannot use --sede: demo has no such option.+\n$/);
  assertEquals(await infer(["--seed", "x"], new FakeTerminal()), 2);
});

Deno.test("The digits of the demonstration are the first of each class in MNIST's test set", async () => {
  const { images, labels, width, height, channels } = await loadMnist("test");
  for (let digit = 0; digit < 10; digit++) {
    const file = `weights/mnist/digits/${digit}.png`;
    const bytes = await Deno.readFile(new URL(file, ROOT));
    const { pixels } = await decodePng(bytes, file, { width, height, channels });
    const start = labels.indexOf(digit) * width * height;
    assertEquals(pixels, images.slice(start, start + width * height), file);
  }
});

/** Small models in the place of the real ones, the rest as it is in the repository. */
async function withStandInProgram(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["infer.ts", "src", "kernels"]) {
      await Deno.symlink(new URL(name, ROOT), `${folder}/${name}`);
    }
    await Deno.mkdir(`${folder}/weights`);
    await writeStandIns(`${folder}/weights`);
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function start(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-config", "--no-lock", ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("infer.ts alone is the demonstration", () =>
  withStandInProgram(async (folder) => {
    const child = start(["--allow-read", `${folder}/infer.ts`, "--seed", "3"]);
    const { code, stdout, stderr } = await child.output();
    assertEquals(code, 0, decode(stderr));
    assertMatch(decode(stdout), TRANSCRIPT);
  }));

Deno.test("infer.ts alone reads a digit with weights/mnist, and writes with weights/shakespeare", async () => {
  const weights = `--allow-read=${new URL("weights", ROOT).pathname}`;
  const program = new URL("infer.ts", ROOT).pathname;
  const { code, stdout, stderr } = await start([weights, program, "--seed", "7"]).output();
  assertEquals(code, 0, decode(stderr));
  assertMatch(decode(stdout), TRANSCRIPT);
  assertStringIncludes(decode(stdout), "It is a 7, and the model says so");
});

Deno.test("infer.ts alone asks for nothing but its models, and says so where nobody can be asked", async () => {
  const { code, stdout, stderr } = await start([new URL("infer.ts", ROOT).pathname]).output();
  assertEquals([code, decode(stdout)], [1, ""]);
  assertEquals(
    decode(stderr),
    `Cannot read the models in ${new URL("weights", ROOT).pathname}: run again with --allow-read\n`,
  );
});

Deno.test("infer.ts alone ends with 130 after Ctrl-C", () =>
  withStandInProgram(async (folder) => {
    const child = start(["--allow-read", `${folder}/infer.ts`]);
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      if (text === "") child.kill("SIGINT");
      text += chunk;
    }
    const [{ code, signal }, stderr] = await Promise.all([
      child.status,
      new Response(child.stderr).text(),
    ]);
    assertEquals([code, signal], [130, null], stderr);
    assert(!/panic|Cannot|\n {4}at /.test(stderr), stderr);
  }));

Deno.test("infer.ts started by its URL fetches its models from where it came", () =>
  withStandInProgram(async (folder) => {
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => serveFile(`${folder}${new URL(request.url).pathname}`),
    );
    const host = `127.0.0.1:${server.addr.port}`;
    // Modules are kept by host and port, and an earlier server may have had this one's port.
    const args = [`--allow-import=${host}`, `--reload=http://${host}`];
    const program = [`http://${host}/infer.ts`, "--seed", "3"];
    const { code, stdout, stderr } = await start([...args, `--allow-net=${host}`, ...program])
      .output();
    assertEquals(code, 0, decode(stderr));
    assertMatch(decode(stdout), TRANSCRIPT);
    const refused = await start([...args, ...program]).output();
    assertEquals([refused.code, decode(refused.stdout)], [1, ""]);
    assertMatch(
      decode(refused.stderr),
      new RegExp(
        `Cannot download the models in http://${host}/weights: run again with --allow-net=${host}\n$`,
      ),
    );
  }));

async function serveFile(path: string): Promise<Response> {
  try {
    const type = path.endsWith(".ts") ? "application/typescript" : "application/octet-stream";
    return new Response(await Deno.readFile(path), { headers: { "content-type": type } });
  } catch {
    return new Response("not found", { status: 404 });
  }
}
