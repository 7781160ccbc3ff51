import { MEAN_POOL_CHECKS } from "./mean_pool_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(MEAN_POOL_CHECKS);
