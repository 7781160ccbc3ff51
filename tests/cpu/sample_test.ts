import { SAMPLE_CHECKS } from "./sample_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SAMPLE_CHECKS);
