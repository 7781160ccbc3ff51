import { STATE_COPY_CHECKS } from "../../src/checks/ops/state_copy_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(STATE_COPY_CHECKS);
