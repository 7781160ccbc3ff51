import { GATED_RMS_NORM_CHECKS } from "../../src/checks/ops/gated_rms_norm_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(GATED_RMS_NORM_CHECKS);
