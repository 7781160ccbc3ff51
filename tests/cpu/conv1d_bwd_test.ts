import { CONV1D_BWD_CHECKS } from "../../src/checks/ops/conv1d_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(CONV1D_BWD_CHECKS);
