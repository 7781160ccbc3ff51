import { assertEquals, assertThrows } from "@std/assert";
import { seriesToInput } from "../../mod.ts";

Deno.test("seriesToInput() scales each value of a step by its own mean and deviation", () => {
  const scale = { mean: [4, 0], std: [0.5, 2] };
  assertEquals(seriesToInput([3, 5, 4, -2], scale), new Float32Array([-2, 2.5, 0, -1]));
  assertEquals(seriesToInput(new Float32Array([5, 1]), scale), new Float32Array([2, 0.5]));
});

Deno.test("seriesToInput() refuses what is no whole step", () => {
  for (const values of [[], [1], [1, 2, 3]]) {
    assertThrows(
      () => seriesToInput(values, { mean: [0, 0], std: [1, 1] }),
      TypeError,
      `Cannot make an input of ${values.length} values: expected one or more steps of 2`,
    );
  }
});
