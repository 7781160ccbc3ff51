import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { checkSchedule, learningRateAt, type Schedule } from "../../src/train/schedule.ts";

const COSINE: Schedule = {
  kind: "cosine",
  learningRate: 1,
  minimumLearningRate: 0.1,
  warmupSteps: 4,
  steps: 15,
};

Deno.test("learningRateAt() rises linearly, then falls by a cosine to its minimum", () => {
  assertEquals([0, 1, 2, 3, 4].map((step) => learningRateAt(COSINE, step)), [
    0.25,
    0.5,
    0.75,
    1,
    1,
  ]);
  assertAlmostEquals(learningRateAt(COSINE, 9), 0.55);
  assertAlmostEquals(learningRateAt(COSINE, 14), 0.1);
  assertAlmostEquals(learningRateAt(COSINE, 99), 0.1);
  for (let step = 4; step < 14; step++) {
    assertEquals(learningRateAt(COSINE, step + 1) < learningRateAt(COSINE, step), true);
  }
});

Deno.test("learningRateAt() stays where the schedule is constant", () => {
  const constant: Schedule = { ...COSINE, kind: "constant" };
  assertEquals([0, 3, 4, 14, 99].map((step) => learningRateAt(constant, step)), [0.25, 1, 1, 1, 1]);
});

Deno.test("learningRateAt() needs no warm-up, and one step is enough", () => {
  assertEquals(learningRateAt({ ...COSINE, warmupSteps: 0, steps: 1 }, 0), 1);
  assertEquals(learningRateAt({ ...COSINE, warmupSteps: 3, steps: 3 }, 2), 1);
});

Deno.test("checkSchedule() refuses what no run can follow", () => {
  checkSchedule(COSINE);
  const bad: [Partial<Schedule>, string][] = [
    [{ learningRate: 0 }, "learningRate is 0, expected a number above 0"],
    [{ learningRate: NaN }, "learningRate is NaN"],
    [{ minimumLearningRate: 2 }, "minimumLearningRate is 2, expected 0 to 1"],
    [{ minimumLearningRate: -1 }, "minimumLearningRate is -1"],
    [{ steps: 0 }, "steps is 0"],
    [{ warmupSteps: 16 }, "warmupSteps is 16, expected a whole number from 0 to 15"],
    [{ warmupSteps: 0.5 }, "warmupSteps is 0.5"],
  ];
  for (const [change, message] of bad) {
    assertThrows(() => checkSchedule({ ...COSINE, ...change }), RangeError, message);
  }
});
