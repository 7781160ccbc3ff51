import { assertEquals } from "@std/assert";
import { gradNormStarts, NORM_PART } from "../../src/ops/grad_norm.ts";
import { GRAD_NORM_CHECKS } from "./grad_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GRAD_NORM_CHECKS);

Deno.test("gradNormStarts() gives each tensor partials of its own", () => {
  assertEquals(gradNormStarts([]), [0]);
  assertEquals(gradNormStarts([1, NORM_PART, NORM_PART + 1, 7]), [0, 1, 2, 4, 5]);
});
