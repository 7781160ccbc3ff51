import { S4_BWD_CHECKS } from "../../src/checks/ops/s4_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(S4_BWD_CHECKS);
