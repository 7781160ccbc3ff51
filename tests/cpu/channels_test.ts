import { CHANNEL_CHECKS } from "../../src/checks/ops/channel_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(CHANNEL_CHECKS);
