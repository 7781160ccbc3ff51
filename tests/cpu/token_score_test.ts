import { TOKEN_SCORE_CHECKS } from "../../src/checks/ops/token_score_checks.ts";
import { testCpuChecks } from "./test_cpu_checks.ts";

testCpuChecks(TOKEN_SCORE_CHECKS);
