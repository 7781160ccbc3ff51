import { MEAN_POOL_CHECKS } from "../../src/checks/ops/mean_pool_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(MEAN_POOL_CHECKS);
