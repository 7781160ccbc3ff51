import { SSD_CHECKS } from "../../src/checks/ops/ssd_checks.ts";
import { SSD_PARTS_CHECKS } from "../../src/checks/ops/ssd_parts_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SSD_PARTS_CHECKS);
testChecks(SSD_CHECKS);
