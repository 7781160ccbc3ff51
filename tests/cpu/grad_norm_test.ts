import { GRAD_NORM_CHECKS } from "../../src/checks/ops/grad_norm_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(GRAD_NORM_CHECKS);
