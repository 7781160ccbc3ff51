import { MEAN_POOL_BWD_CHECKS } from "../../src/checks/ops/mean_pool_bwd_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(MEAN_POOL_BWD_CHECKS);
