import { SELECTIVE_SCAN_CHECKS } from "./selective_scan_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SELECTIVE_SCAN_CHECKS);
