import { MEAN_POOL_BWD_CHECKS } from "./mean_pool_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(MEAN_POOL_BWD_CHECKS);
