import { TOKEN_SCORE_CHECKS } from "../../src/checks/ops/token_score_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(TOKEN_SCORE_CHECKS);
