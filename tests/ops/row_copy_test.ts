import { ROW_COPY_CHECKS } from "../../src/checks/ops/row_copy_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(ROW_COPY_CHECKS);
