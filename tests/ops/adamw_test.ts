import { ADAMW_CHECKS } from "./adamw_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(ADAMW_CHECKS);
