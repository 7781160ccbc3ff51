import { assertEquals } from "@std/assert";
import { gradNormStarts } from "../../src/ops/grad_norm.ts";
import { GRAD_NORM_CHECKS } from "./grad_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GRAD_NORM_CHECKS);

Deno.test("gradNormStarts() gives each tensor partials of its own", () => {
  assertEquals(gradNormStarts([]), [0]);
  assertEquals(gradNormStarts([1, 16_384, 16_385, 7]), [0, 1, 2, 4, 5]);
});
