import { CROSS_ENTROPY_CHECKS } from "../../src/checks/ops/cross_entropy_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(CROSS_ENTROPY_CHECKS);
