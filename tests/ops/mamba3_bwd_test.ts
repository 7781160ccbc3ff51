import { MAMBA3_BWD_CHECKS } from "../../src/checks/ops/mamba3_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(MAMBA3_BWD_CHECKS);
