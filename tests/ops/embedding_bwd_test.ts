import { EMBEDDING_BWD_CHECKS } from "./embedding_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(EMBEDDING_BWD_CHECKS);
