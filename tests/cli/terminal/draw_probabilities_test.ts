import { assert, assertEquals } from "@std/assert";
import {
  drawProbabilities,
  listProbabilities,
} from "../../../src/cli/terminal/draw_probabilities.ts";

const RESULT = { label: "b", index: 1, probabilities: Float32Array.of(0.25, 0.6875, 0.0625) };

Deno.test("drawProbabilities() draws each bar to an eighth of a character", () => {
  assertEquals(drawProbabilities(RESULT, ["a", "bc", "d"], 18, false), [
    "a  ██        25.0%",
    "bc █████▌    68.8%",
    "d  ▌          6.3%",
  ]);
});

Deno.test("drawProbabilities() names classes by index where they have no names, and sets the likeliest in bold", () => {
  assertEquals(drawProbabilities(RESULT, undefined, 13, true), [
    "0 █     25.0%",
    "\x1b[1m1 ██▊   68.8%\x1b[0m",
    "2 ▎      6.3%",
  ]);
});

Deno.test("drawProbabilities() never writes more than its width, and no bar where there is no room", () => {
  const sure = { label: "0", index: 0, probabilities: Float32Array.of(1, 0) };
  for (let width = 9; width < 60; width++) {
    for (const line of drawProbabilities(sure, undefined, width, false)) {
      assertEquals(line.length, width, line);
    }
  }
  const [line] = drawProbabilities(sure, undefined, 3, false);
  assert(!line?.includes("█"));
});

Deno.test("listProbabilities() names the likeliest classes, likeliest first", () => {
  assertEquals(listProbabilities(RESULT, ["a", "b", "c"], 2), "b  68.8%   a  25.0%");
  assertEquals(listProbabilities(RESULT, undefined, 9), "1  68.8%   0  25.0%   2   6.3%");
});
