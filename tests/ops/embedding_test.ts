import { EMBEDDING_CHECKS } from "../../src/checks/ops/embedding_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(EMBEDDING_CHECKS);
