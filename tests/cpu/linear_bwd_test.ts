import { LINEAR_BWD_CHECKS } from "../../src/checks/ops/linear_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(LINEAR_BWD_CHECKS);
