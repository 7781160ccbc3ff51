import { DROPOUT_CHECKS } from "./dropout_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(DROPOUT_CHECKS);
