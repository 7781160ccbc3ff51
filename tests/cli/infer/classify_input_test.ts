import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { readRawInput, toModelInput as toInput } from "../../../src/cli/infer/classify_input.ts";
import { type ModelConfig, parseConfig } from "../../../src/model/config/config.ts";
import { encodePng } from "../../io/images/png_file.ts";
import { FakeTerminal } from "../terminal/fake_terminal.ts";

function config(d_input: number, preprocessing?: unknown): ModelConfig {
  return parseConfig({
    model_type: "mamba",
    hidden_size: 16,
    num_hidden_layers: 1,
    input: { kind: "linear", d_input, bias: true },
    head: { kind: "classifier", n_classes: 2, pool: "last", bias: true },
    ...(preprocessing === undefined ? {} : { preprocessing }),
  });
}

const IMAGE = config(2, {
  kind: "image",
  width: 2,
  height: 2,
  channels: 1,
  step: "row",
  rescale: 1,
  mean: [10],
  std: [2],
});
const SERIES = config(2, { kind: "series", mean: [1, 10], std: [1, 10] });
const PLAIN = config(2);

/** With nothing said. */
async function toModelInput(
  raw: Parameters<typeof toInput>[0],
  config: ModelConfig,
): Promise<Float32Array> {
  const terminal = new FakeTerminal();
  const input = await toInput(raw, config, terminal);
  assertEquals(terminal.stderr, "");
  return input;
}

const text = (content: string) => ({ name: "in", bytes: new TextEncoder().encode(content) });
/** Two images of 2 x 2. */
const IDX = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8);

Deno.test("toModelInput() sends PNG, IDX and pixel values through the same preprocessing", async () => {
  const expected = Float32Array.of(-2.5, -2, -1.5, -1);
  const png = { name: "in", bytes: encodePng(2, 2, 0, Uint8Array.of(5, 6, 7, 8)) };
  assertEquals(await toModelInput(png, IMAGE), expected);
  assertEquals(await toModelInput({ name: "in", bytes: IDX, index: 1 }, IMAGE), expected);
  assertEquals(await toModelInput(text("5 6\n7,8\n"), IMAGE), expected);
  assertEquals(await toModelInput(text("[[5, 6], [7, 8]]"), IMAGE), expected);
});

Deno.test("toModelInput() takes numbers for series, and as they are without preprocessing", async () => {
  assertEquals(await toModelInput(text("1, 20; 3 0"), SERIES), Float32Array.of(0, 1, 2, -1));
  const plain = await toModelInput(text("1e-3\t-2.5\r\n3 0\n"), PLAIN);
  assertAlmostEquals(plain[0] ?? NaN, 1e-3, 1e-9);
  assertEquals(plain.subarray(1), Float32Array.of(-2.5, 3, 0));
  assertEquals(
    await toModelInput(text("0,5;1\n2;-1,25\n"), PLAIN),
    Float32Array.of(0.5, 1, 2, -1.25),
  );
});

Deno.test("toModelInput() refuses inputs that do not fit, in one clear error", async () => {
  const idx = (index?: number) => ({
    name: "d.idx",
    bytes: IDX,
    ...(index === undefined ? {} : { index }),
  });
  const png = { name: "in", bytes: encodePng(1, 1, 0, Uint8Array.of(5)) };
  const bad: [Parameters<typeof toModelInput>, string][] = [
    [[png, IMAGE], 'Cannot use "in": the image is 1 x 1, expected 2 x 2, grey'],
    [[png, SERIES], "this checkpoint has preprocessing for series"],
    [[png, PLAIN], "this checkpoint has no preprocessing"],
    [[idx(2), IMAGE], 'image 2 of "d.idx": it holds 2 images'],
    [[idx(), IMAGE], "Give one as d.idx:0 to d.idx:1"],
    [[idx(0), PLAIN], "this checkpoint has no preprocessing"],
    [[{ ...text("1 2"), index: 0 }, IMAGE], "it is not an IDX file"],
    [[text("1 2 3"), IMAGE], "it holds 3 numbers, and this checkpoint takes 2 x 2 x 1 pixels"],
    [[text("1 2 3 256"), IMAGE], "entry 3 is 256"],
    [[text("1 2 3 0.5"), IMAGE], "entry 3 is 0.5"],
    [[text("1 2 3"), PLAIN], "it holds 3 numbers, and each step of this model takes 2"],
    [[text(" "), SERIES], "it holds 0 numbers"],
    [[text("1 two"), PLAIN], 'entry 1 is "two"'],
    [[text("0,1,2\n1,3,4"), PLAIN], "it has 2 rows, one of them of 3 columns, and each step"],
    [[text("[[0, 1, 2], [1, 3, 4]]"), SERIES], "one of them of 3 columns"],
    [[text("0,5 0,7"), PLAIN], "line 1 has commas inside of words"],
    [[text("[1, 2"), PLAIN], "it begins as JSON, and is none"],
    [[text("x,y\n1,2"), PLAIN], 'entry 0 is "x"'],
    [[text("1 NaN"), PLAIN], 'entry 1 is "NaN"'],
    [[text("1 1e999"), PLAIN], 'entry 1 is "1e999"'],
    [
      [{ name: "in", bytes: Uint8Array.of(0xff, 0xd8, 0xff) }, IMAGE],
      "it is not PNG, IDX, or text",
    ],
  ];
  for (const [args, message] of bad) {
    await assertRejects(() => toModelInput(...args), Error, message, message);
  }
});

Deno.test("readRawInput() tells FILE:INDEX from a file of that name, and - from both", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/a`, "A");
    await Deno.writeTextFile(`${folder}/a:1`, "B");
    const read = async (source: string) => {
      const { bytes, index } = await readRawInput(source, new FakeTerminal({ stdin: "C" }));
      return [new TextDecoder().decode(bytes), index];
    };
    assertEquals(await read(`${folder}/a`), ["A", undefined]);
    assertEquals(await read(`${folder}/a:0`), ["A", 0]);
    assertEquals(await read(`${folder}/a:1`), ["B", undefined]);
    assertEquals(await read("-"), ["C", undefined]);
    await assertRejects(() => read(`${folder}/b:0`), Deno.errors.NotFound, "there is no such file");
    await assertRejects(
      () => read(folder),
      TypeError,
      "it is a folder, expected a file of an image",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
