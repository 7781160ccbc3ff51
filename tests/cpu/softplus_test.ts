import { SOFTPLUS_CHECKS } from "../../src/checks/ops/softplus_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SOFTPLUS_CHECKS);
