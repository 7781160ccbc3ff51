import { SSD_CHECKS } from "./ssd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SSD_CHECKS);
