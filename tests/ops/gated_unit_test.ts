import { GATED_UNIT_CHECKS } from "../../src/checks/ops/gated_unit_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GATED_UNIT_CHECKS);
