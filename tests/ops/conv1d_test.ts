import { CONV1D_CHECKS } from "../../src/checks/ops/conv1d_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(CONV1D_CHECKS);
