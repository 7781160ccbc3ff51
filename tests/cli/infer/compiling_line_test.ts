import { assert, assertEquals } from "@std/assert";
import { compilingLine } from "../../../src/cli/infer/compiling_line.ts";
import { DEMO, demo } from "../../../src/cli/infer/demo/demo.ts";
import { infer } from "../../../src/cli/infer/infer.ts";
import { parseArguments } from "../../../src/cli/terminal/arguments.ts";
import { mnistPixelsTask } from "../../../src/train/tasks/mnist_pixels.ts";
import { writeStandIns } from "../stand_in_weights.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { writeUntrained } from "../untrained_model.ts";
import "../../settle_readbacks.ts";

/** As it comes and goes. */
const LINE = "\r\x1b[KCompiling kernels\r\x1b[K";

Deno.test("compilingLine() shows that WebGPU compiles, on a terminal, and removes it", () => {
  const cases = [
    ["webgpu", true, LINE],
    ["webgpu", false, ""],
    ["cpu", true, ""],
  ] as const;
  for (const [backend, rewrites, expected] of cases) {
    const terminal = new FakeTerminal({ rewrites });
    compilingLine({ backend }, terminal)[Symbol.dispose]();
    assertEquals(terminal.stderr, expected, `${backend}, ${rewrites}`);
  }
});

/** A terminal that notes the order of what goes to both streams. */
class OrderedTerminal extends FakeTerminal {
  all = "";

  constructor() {
    super({ rewrites: true });
  }

  override write(text: string): void {
    super.write(text);
    this.all += text;
  }

  override writeError(text: string): void {
    super.writeError(text);
    this.all += text;
  }
}

/** Runs commands on WebGPU with models in a folder, as on a terminal, and gives what each showed. */
async function showAll(folder: string): Promise<Map<string, OrderedTerminal>> {
  await writeStandIns(folder);
  await Deno.mkdir(`${folder}/pixels`);
  await writeUntrained(
    `${folder}/pixels`,
    await mnistPixelsTask({
      ...{ preset: "conditional", heldOut: 0, hyperparameters: { batchSize: 1 } },
      model: { d_model: 16, n_layer: 1, d_state: 4 },
    }),
  );
  const mnist = `${folder}/mnist`, text = `${folder}/shakespeare`;
  await Deno.writeTextFile(`${folder}/text.txt`, "So it goes.");
  const digit = `${mnist}/digits/7.png`, few = ["--dataset", "mnist", "--limit", "2"];
  const commands = [
    ["generate", text, "--prompt", "So", "--max-tokens", "2"],
    ["classify", mnist, digit],
    ["classify", mnist, digit, "--stream"],
    ["classify", mnist, ...few],
    ["score", text, "--text", `${folder}/text.txt`],
    ["score", `${folder}/pixels`, ...few],
  ];
  const shown = new Map<string, OrderedTerminal>();
  for (const command of commands) {
    const terminal = new OrderedTerminal();
    const code = await infer([...command, "--backend", "webgpu"], terminal);
    assertEquals(code, 0, terminal.stderr);
    shown.set(command.join(" ").replaceAll(folder, ""), terminal);
  }
  return shown;
}

Deno.test("what runs a model on a terminal shows that WebGPU compiles before the first result, and removes it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [command, { all, stdout }] of await showAll(folder)) {
      const at = all.lastIndexOf(LINE);
      assert(at > 0, command);
      assert(all.includes(stdout, at), command);
    }
    const terminal = new OrderedTerminal();
    const args = parseArguments(DEMO, ["--seed", "1", "--backend", "webgpu"]);
    assertEquals(await demo(args, terminal, new URL(`file://${folder}/`)), 0);
    const [, digit = "", text = ""] = terminal.all.split("a step:\n\n");
    for (const half of [digit, text]) {
      assert(half.includes(LINE), half);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
