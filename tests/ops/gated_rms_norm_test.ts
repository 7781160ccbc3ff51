import { GATED_RMS_NORM_CHECKS } from "../../src/checks/ops/gated_rms_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GATED_RMS_NORM_CHECKS);
