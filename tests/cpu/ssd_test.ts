import { SSD_CHECKS } from "../../src/checks/ops/ssd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SSD_CHECKS);
