import { ADAMW_CHECKS } from "../../src/checks/ops/adamw_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(ADAMW_CHECKS);
