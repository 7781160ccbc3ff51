import { EMBEDDING_BWD_CHECKS } from "../../src/checks/ops/embedding_bwd_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(EMBEDDING_BWD_CHECKS);
