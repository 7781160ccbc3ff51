import { SSD_BWD_CHECKS } from "../../src/checks/ops/ssd_bwd_checks.ts";
import { SSD_BWD_PARTS_CHECKS } from "../../src/checks/ops/ssd_bwd_parts_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(SSD_BWD_PARTS_CHECKS);
testChecks(SSD_BWD_CHECKS);
