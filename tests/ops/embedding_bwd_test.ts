import { assertEquals, assertThrows } from "@std/assert";
import { Program } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { embeddingBwd, embeddingBwdParts } from "../../src/ops/training/embedding_bwd.ts";
import { createMatrix } from "../../src/ops/matrix.ts";
import { withGpu } from "../with_gpu.ts";
import { EMBEDDING_BWD_CHECKS } from "../../src/checks/ops/embedding_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(EMBEDDING_BWD_CHECKS);

Deno.test("embeddingBwdParts() splits many rows of a small vocabulary only", () => {
  assertEquals(embeddingBwdParts(512, 65), 1);
  assertEquals(embeddingBwdParts(513, 65), 2);
  assertEquals(embeddingBwdParts(65_536, 65), 63);
  assertEquals(embeddingBwdParts(65_536, 50_280), 1);
});

Deno.test(
  "embeddingBwd() refuses a gradient that is split or not f32, and missing partials",
  withGpu((gpu) => {
    using program = new Program(gpu);
    using ids = createTensor(gpu, "ids", [600]);
    using grad_y = createTensor(gpu, "grad_y", [600, 8]);
    using whole = createMatrix(gpu, "whole", [4, 8], { dtype: "f32" });
    using half = createMatrix(gpu, "half", [4, 8], { dtype: "f16" });
    using split = createMatrix(gpu, "split", [4, 8], { dtype: "f32", maxBindingBytes: 64 });
    const shape = { rows: 600, label: "embedding_bwd" };
    for (
      const [grad_weight, message] of [
        [half, "the gradient is f16 in 1 blocks"],
        [split, "the gradient is f32 in 2 blocks"],
        [whole, "2 parts need partials"],
      ] as const
    ) {
      assertThrows(
        () => embeddingBwd(program, { ids, grad_y, grad_weight }, shape),
        TypeError,
        `Cannot record embedding_bwd: ${message}`,
      );
    }
  }),
);
