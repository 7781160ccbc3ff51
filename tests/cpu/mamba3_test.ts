import { MAMBA3_CHECKS } from "../../src/checks/ops/mamba3_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(MAMBA3_CHECKS);
