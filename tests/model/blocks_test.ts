import { assertEquals } from "@std/assert";
import { blockHalves, sharedByPart } from "../../src/model/blocks.ts";
import { rowBytes } from "../../src/passes/activations.ts";
import { WEBGPU_PARTS } from "../../src/webgpu/platform.ts";
import { shapeConfig } from "../../tools/bench/shapes.ts";

Deno.test("sharedByPart() makes one of each part, though it be undefined", () => {
  const config = shapeConfig("mamba-130m");
  let made = 0;
  assertEquals(sharedByPart(config, () => void (made += 1)).length, blockHalves(config).length);
  assertEquals(made, 1);
});

Deno.test("a row's activations do not grow with the number of layers, which share them", () => {
  const config = shapeConfig("mamba-130m");
  const [few, many] = [1, 24].map((n_layer) => rowBytes(WEBGPU_PARTS, { ...config, n_layer }));
  assertEquals(few, many);
});
