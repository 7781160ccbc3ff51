import { CROSS_ENTROPY_CHECKS } from "../../src/checks/ops/cross_entropy_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(CROSS_ENTROPY_CHECKS);
