import { DROPOUT_CHECKS } from "../../src/checks/ops/dropout_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(DROPOUT_CHECKS);
