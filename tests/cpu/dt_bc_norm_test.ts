import { DT_BC_NORM_CHECKS } from "../../src/checks/ops/dt_bc_norm_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(DT_BC_NORM_CHECKS);
