import { SELECTIVE_SCAN_BWD_CHECKS } from "../../src/checks/ops/selective_scan_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SELECTIVE_SCAN_BWD_CHECKS);
