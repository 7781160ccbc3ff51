import { SSD_BWD_CHECKS } from "../../src/checks/ops/ssd_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SSD_BWD_CHECKS);
