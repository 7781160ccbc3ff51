import { SUM_PARTIALS_CHECKS } from "../../src/checks/ops/sum_partials_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SUM_PARTIALS_CHECKS);
