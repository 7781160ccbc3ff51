import { SAMPLE_CHECKS } from "../../src/checks/ops/sample_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SAMPLE_CHECKS);
