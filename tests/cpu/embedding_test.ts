import { EMBEDDING_CHECKS } from "./embedding_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(EMBEDDING_CHECKS);
