import { GATED_UNIT_CHECKS } from "../../src/checks/ops/gated_unit_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(GATED_UNIT_CHECKS);
