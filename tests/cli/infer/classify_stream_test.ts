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

Deno.test("infer() classify refuses options of a stream without --stream", async () => {
  const terminal = new FakeTerminal({ stdin: "1" });
  assertEquals(await infer(["classify", MODEL, "-", "--every", "3"], terminal), 2);
  assert(terminal.stderr.includes("Cannot use --every: it belongs to --stream"), terminal.stderr);
});
