import { MEAN_POOL_BWD_CHECKS } from "../../src/checks/ops/mean_pool_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(MEAN_POOL_BWD_CHECKS);
