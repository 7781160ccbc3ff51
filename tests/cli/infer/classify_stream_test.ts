import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { infer } from "../../../src/cli/infer/infer.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";
import { joined, utf8 } from "../../io/streams/source.ts";

const MODEL = "weights/mnist";
const CPU = ["--backend", "cpu"];
const DIGIT = Deno.readFileSync("weights/mnist/digits/7.png");

async function run(args: string[], stdin: Uint8Array<ArrayBuffer>): Promise<FakeTerminal> {
  const terminal = new FakeTerminal({ stdin });
  assertEquals(
    await infer(["classify", MODEL, "-", ...args, ...CPU], terminal),
    0,
    terminal.stderr,
  );
  return terminal;
}

const objects = ({ stdout }: FakeTerminal) =>
  stdout.trimEnd().split("\n").map((line) => JSON.parse(line));

Deno.test("infer() classify --stream takes images one after the other, and prints every Nth step", async () => {
  const shown = objects(
    await run(["--stream", "--json", "--every", "300"], joined(DIGIT, DIGIT)),
  );
  assertEquals(
    shown.map(({ item, step }) => [item, step]),
    [[0, 300], [0, 600], [0, 784], [1, 300], [1, 600], [1, 784]],
  );
  const [one] = objects(await run(["--json"], DIGIT.slice()));
  for (const { label, probabilities } of [shown[2], shown[5]]) {
    assertEquals(label, "7");
    for (const [i, p] of one.probabilities.entries()) assertAlmostEquals(probabilities[i], p, 1e-4);
  }
});

Deno.test("infer() classify --stream takes raw pixels, and says where they ended inside an image", async () => {
  const terminal = await run(
    ["--stream", "--json", "--format", "u8", "--every", "100"],
    new Uint8Array(884),
  );
  assertEquals(objects(terminal).map(({ step }) => step), [
    ...[100, 200, 300, 400, 500, 600, 700, 784, 100],
  ]);
  assert(terminal.stderr.includes('"stdin" ended inside an image, after 100 of 784 steps'));
});

Deno.test("infer() classify --confident ends an image's steps where it is sure", async () => {
  const args = ["--stream", "--json", "--confident", "0.5"];
  const shown = objects(await run(args, joined(DIGIT, DIGIT)));
  const sure = shown.filter((line) => line.sure);
  assertEquals(sure.map(({ item }) => item), [0, 1]);
  for (const { probabilities, index } of sure) assert(probabilities[index] >= 0.5);
  const { step } = sure[0];
  assertEquals(shown.length, 2 * step);
  assert(step < 784);
});

Deno.test("infer() classify --stream goes on from a saved state as if it had never stopped", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const numbers = Array.from({ length: 40 }, (_, i) => i * 5 % 256);
    const text = (part: number[]) => utf8(part.map((n) => `${n}\n`).join(""));
    const whole = objects(await run(["--stream", "--json"], text(numbers)));
    const state = ["--save-state", `${folder}/state`];
    await run(["--stream", "--json", ...state], text(numbers.slice(0, 25)));
    const rest = objects(
      await run(["--stream", "--json", "--load-state", `${folder}/state`], text(numbers.slice(25))),
    );
    assertEquals(rest, whole.slice(25));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A reader who leaves after some lines. */
class LeavingReader extends FakeTerminal {
  #left: number;

  constructor(stdin: Uint8Array<ArrayBuffer>, lines: number) {
    super({ stdin });
    this.#left = lines;
  }

  override write(text: string): void {
    if (this.#left-- <= 0) throw new Deno.errors.BrokenPipe();
    super.write(text);
  }
}

Deno.test("infer() classify --stream of patches saves states between rows of them, and goes on there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const state = `${folder}/state`;
    // An image and a half: 64 patches of 48 numbers, eight of them of four rows of pixels.
    const pixels = Uint8Array.from({ length: 4608 }, (_, i) => i * i % 251);
    const args = [
      "classify",
      "weights/cifar10",
      "-",
      "--stream",
      "--format",
      "u8",
      "--json",
      ...CPU,
    ];
    const go = async (terminal: FakeTerminal, ...more: string[]) => {
      assertEquals(await infer([...args, ...more], terminal), 0, terminal.stderr);
      return objects(terminal);
    };
    const probabilities = (lines: { probabilities: number[] }[]) =>
      lines.flatMap(({ probabilities }) => probabilities);
    const whole = await go(new FakeTerminal({ stdin: pixels }));
    assertEquals(whole.length, 96);
    for (const [lines, steps] of [[3, 8], [8, 16], [70, 72]] as const) {
      const reader = new LeavingReader(pixels.slice(), lines);
      assertEquals((await go(reader, "--save-state", state, "--save-every", "3")).length, lines);
      const saved = steps % 64;
      assert(reader.stderr.includes(`State: ${state}, after ${saved} inputs`), reader.stderr);
      const stdin = pixels.slice(steps * 48);
      const rest = await go(new FakeTerminal({ stdin }), "--load-state", state);
      assertEquals(rest.map(({ step }) => step), whole.slice(steps).map(({ step }) => step));
      assertEquals(probabilities(rest), probabilities(whole.slice(steps)));
    }
    const both = new FakeTerminal({ stdin: pixels });
    assertEquals(await infer([...args, "--confident", "0.9", "--save-state", state], both), 2);
    assert(both.stderr.includes("Cannot use --confident and --save-state together"), both.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("infer() classify refuses options of a stream without --stream", async () => {
  const terminal = new FakeTerminal({ stdin: "1" });
  assertEquals(await infer(["classify", MODEL, "-", "--every", "3"], terminal), 2);
  assert(terminal.stderr.includes("Cannot use --every: it belongs to --stream"), terminal.stderr);
});
