import { RMS_NORM_CHECKS } from "../../src/checks/ops/rms_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(RMS_NORM_CHECKS);
