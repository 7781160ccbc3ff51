import { SELECTIVE_SCAN_BWD_CHECKS } from "../../src/checks/ops/selective_scan_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SELECTIVE_SCAN_BWD_CHECKS);
