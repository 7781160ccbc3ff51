import { S4_CHECKS } from "../../src/checks/ops/s4_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(S4_CHECKS);
