import { S4_BWD_CHECKS } from "../../src/checks/ops/s4_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(S4_BWD_CHECKS);
