import { assertThrows } from "@std/assert";
import { Program } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { dropout } from "../../src/ops/training/dropout.ts";
import { withGpu } from "../with_gpu.ts";
import { DROPOUT_CHECKS } from "../../src/checks/ops/dropout_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(DROPOUT_CHECKS);

Deno.test(
  "dropout() refuses a probability, seed or site out of range",
  withGpu((gpu) => {
    using program = new Program(gpu);
    using x = createTensor(gpu, "x", [4]);
    using draw = createTensor(gpu, "draw", [1]);
    using y = createTensor(gpu, "y", [4]);
    const good = { size: 4, probability: 0.1, seed: 1, site: 0, label: "layers.0.dropout" };
    const wrong: [Partial<typeof good>, string][] = [
      [{ probability: 1 }, "probability is 1,"],
      [{ probability: -0.1 }, "probability is -0.1,"],
      [{ probability: NaN }, "probability is NaN,"],
      [{ seed: -1 }, "seed is -1,"],
      [{ seed: 2 ** 53 }, "seed is 9007199254740992,"],
      [{ site: 2048 }, "site is 2048,"],
      [{ site: 0.5 }, "site is 0.5,"],
    ];
    for (const [change, message] of wrong) {
      assertThrows(
        () => dropout(program, { x, draw, y }, { ...good, ...change }),
        RangeError,
        `Cannot record layers.0.dropout: ${message}`,
      );
    }
  }),
);
