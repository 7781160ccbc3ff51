import { MATH_CHECKS } from "./math_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(MATH_CHECKS);
