import { RMS_NORM_CHECKS } from "../../src/checks/ops/rms_norm_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(RMS_NORM_CHECKS);
