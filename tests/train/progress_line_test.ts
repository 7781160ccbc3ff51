import { assertEquals } from "@std/assert";
import { progressLine } from "../../src/train/run/progress_line.ts";

const NUMBERS = {
  ...{ step: 120, steps: 1000, loss: 3.21871, learningRate: 6e-4, gradientNorm: 0.9083 },
  ...{ stepMs: 41.2, tokensPerStep: 512 },
};

Deno.test("progressLine() shows where the run stands", () => {
  assertEquals(
    progressLine({ ...NUMBERS, stepMs: 205.97 }),
    "step 120/1000 | loss 3.2187 | lr 6.0e-4 | norm 0.91 | 206.0 ms | 2486 tok/s | 3 min left",
  );
});

Deno.test("progressLine() shows the time left in the units that matter", () => {
  const left = (stepMs: number) => progressLine({ ...NUMBERS, stepMs }).split(" | ").at(-1);
  assertEquals(
    [0.5, 41.2, 68.1, 205, 4000, 4909].map(left),
    ["1 s left", "37 s left", "1 min left", "3 min left", "59 min left", "1 h 12 min left"],
  );
  assertEquals(progressLine({ ...NUMBERS, step: 1000 }).endsWith("12427 tok/s"), true);
});

Deno.test("progressLine() leaves out what is not known yet, and shows a loss that is none", () => {
  assertEquals(
    progressLine({ ...NUMBERS, stepMs: 0, loss: NaN }),
    "step 120/1000 | loss NaN | lr 6.0e-4 | norm 0.91",
  );
});
