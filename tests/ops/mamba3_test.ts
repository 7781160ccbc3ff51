import { MAMBA3_CHECKS } from "../../src/checks/ops/mamba3_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(MAMBA3_CHECKS);
