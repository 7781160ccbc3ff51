import { DT_BC_NORM_CHECKS } from "../../src/checks/ops/dt_bc_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(DT_BC_NORM_CHECKS);
