import { RMS_NORM_BWD_CHECKS } from "../../src/checks/ops/rms_norm_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(RMS_NORM_BWD_CHECKS);
