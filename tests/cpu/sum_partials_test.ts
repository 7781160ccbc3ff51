import { SUM_PARTIALS_CHECKS } from "../../src/checks/ops/sum_partials_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(SUM_PARTIALS_CHECKS);
