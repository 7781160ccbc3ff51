import { assertEquals, assertThrows } from "@std/assert";
import { checkInputs, isStream, requireWholeImage } from "../../src/engine/check_inputs.ts";
import type { Inputs } from "../../src/engine/session.ts";
import { parseConfig } from "../../src/model/config/config.ts";

const TEXT = parseConfig({ d_model: 8, n_layer: 1, vocab_size: 16 });
const IMAGES = parseConfig({
  model_type: "mamba",
  hidden_size: 8,
  num_hidden_layers: 1,
  input: { kind: "linear", d_input: 1 },
  head: { kind: "classifier", n_classes: 2 },
  preprocessing: {
    ...{ kind: "image", width: 4, height: 3, channels: 1, step: "pixel" },
    ...{ rescale: 1, mean: [0], std: [1] },
  },
});

/** Inputs as a caller without types may give them. */
function untyped(value: unknown): Inputs {
  return value as Inputs;
}

Deno.test("checkInputs() says in one clear error what is no input", () => {
  const cases: [unknown, string][] = [
    ["a", 'the input is "a", expected token ids'],
    [undefined, "the input is undefined, expected token ids"],
    [null, "the input is null, expected token ids"],
    [{}, "the input is an object, expected token ids"],
    [["a"], 'input 0 is "a", expected token ids'],
    [[1, null], "input 1 is null, expected token ids"],
  ];
  for (const [value, expected] of cases) {
    assertThrows(() => checkInputs(TEXT, untyped(value)), TypeError, expected);
  }
  assertThrows(() => checkInputs(IMAGES, untyped("a")), TypeError, "expected floats");
  assertEquals([...checkInputs(TEXT, [1, 2])], [1, 2]);
  assertEquals([...checkInputs(TEXT, Uint32Array.of(3))], [3]);
});

Deno.test("requireWholeImage() refuses a part of an image, and leaves other inputs alone", () => {
  requireWholeImage(IMAGES, 12);
  requireWholeImage(TEXT, 5);
  assertThrows(
    () => requireWholeImage(IMAGES, 10),
    RangeError,
    "Cannot classify 10 values: this model takes images of 4 x 3 x 1, which are 12",
  );
});

Deno.test("isStream() tells a stream from a list, and says what is neither", () => {
  assertEquals(isStream("score", [1]), false);
  assertEquals(isStream("score", Uint32Array.of(1)), false);
  assertEquals(isStream("score", new ReadableStream<number>()), true);
  for (const value of [null, undefined, 5, {}]) {
    assertThrows(
      () => isStream("score", value),
      TypeError,
      `Cannot score: the input is ${typeof value === "object" && value ? "an object" : value}`,
    );
  }
});
