import { CHANNEL_CHECKS } from "../../src/checks/ops/channel_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks(CHANNEL_CHECKS);
