import { RMS_NORM_BWD_CHECKS } from "../../src/checks/ops/rms_norm_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(RMS_NORM_BWD_CHECKS);
