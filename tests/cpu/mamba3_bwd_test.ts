import { MAMBA3_BWD_CHECKS } from "../../src/checks/ops/mamba3_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(MAMBA3_BWD_CHECKS);
