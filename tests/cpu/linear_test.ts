import { LINEAR_CHECKS } from "../../src/checks/ops/linear_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(LINEAR_CHECKS);
