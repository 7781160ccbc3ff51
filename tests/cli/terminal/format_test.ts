import { assertEquals } from "@std/assert";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
} from "../../../src/cli/terminal/format.ts";

Deno.test("formatBytes() picks the unit", () => {
  assertEquals([0, 999, 1000, 2_949_120, 5.6e9, 7e15].map(formatBytes), [
    "0 bytes",
    "999 bytes",
    "1.00 kB",
    "2.95 MB",
    "5.60 GB",
    "7.00e+3 TB",
  ]);
});

Deno.test("formatDuration() and formatRate() keep what matters of a figure", () => {
  assertEquals([410, 12_400, 59_700, 200_000, 7_400_000].map(formatDuration), [
    "0.41 s",
    "12 s",
    "60 s",
    "3 min 20 s",
    "2 h 3 min",
  ]);
  assertEquals([formatRate(1204, 1000), formatRate(83, 10_000), formatRate(5, 0)], [
    "1,204",
    "8.30",
    "5,000,000",
  ]);
  assertEquals(formatCount(129_135_360), "129,135,360");
});
