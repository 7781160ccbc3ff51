import { EMBEDDING_CHECKS } from "../../src/checks/ops/embedding_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(EMBEDDING_CHECKS);
