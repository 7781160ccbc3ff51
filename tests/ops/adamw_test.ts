import { assertEquals } from "@std/assert";
import { encodeAdamwSchedule } from "../../src/model/adamw.ts";
import { assertClose } from "../assert_close.ts";
import { ADAMW_CHECKS } from "../../src/checks/ops/adamw_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(ADAMW_CHECKS);

Deno.test("encodeAdamwSchedule() corrects the first step in full and late steps not at all", () => {
  const betas = { beta1: 0.9, beta2: 0.999 };
  const first = encodeAdamwSchedule(1, 0.5, betas);
  assertClose(first, [0.5, 10, Math.sqrt(1000)], { name: "first", rtol: 1e-7, atol: 0 });
  assertEquals([...encodeAdamwSchedule(1_000_000, 0.5, betas)], [0.5, 1, 1]);
});
