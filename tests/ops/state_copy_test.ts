import { STATE_COPY_CHECKS } from "../../src/checks/ops/state_copy_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(STATE_COPY_CHECKS);
