import { assertEquals } from "@std/assert";
import { gradNormParts, NORM_PART } from "../../src/model/grad_norm.ts";
import { GRAD_NORM_CHECKS } from "../../src/checks/ops/grad_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GRAD_NORM_CHECKS);

Deno.test("gradNormParts() counts a part that is not full", () => {
  assertEquals([1, NORM_PART, NORM_PART + 1].map(gradNormParts), [1, 1, 2]);
});
