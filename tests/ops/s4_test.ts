import { S4_CHECKS } from "../../src/checks/ops/s4_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(S4_CHECKS);
