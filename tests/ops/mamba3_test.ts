import { MAMBA3_CHECKS } from "../../src/checks/ops/mamba3_checks.ts";
import { MAMBA3_PIECES_CHECKS } from "../../src/checks/ops/mamba3_pieces_checks.ts";
import { testChecks } from "./test_checks.ts";

testChecks([...MAMBA3_CHECKS, ...MAMBA3_PIECES_CHECKS]);
