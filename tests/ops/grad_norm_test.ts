import { GRAD_NORM_CHECKS } from "./grad_norm_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(GRAD_NORM_CHECKS);
