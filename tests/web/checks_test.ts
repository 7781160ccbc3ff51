/// <reference lib="dom" />
import { assertEquals, assertMatch } from "@std/assert";
import { pageTest, textLike } from "./with_page.ts";

pageTest("one check of each kernel passes in the page, under the limits of every device", async (
  { page },
) => {
  await textLike(page, "#device-facts", /google swiftshader, which computes on the CPU/);
  await page.check("#checks-default-limits");
  await page.click("#checks-quick");
  const status = await textLike(page, "#checks-status", / in [\d.]+ m?s\.$/);
  const failed = await page.locator("#checks-rows .failed").allInnerTexts();
  assertEquals(failed, [], status);
  assertMatch(status, /^\d+ checks passed, 0 failed/);
  for (const executor of ["WebGPU", "WebAssembly"]) {
    const row = page.locator("#checks-rows tr", { hasText: "selective_scan_fwd" });
    assertEquals(await row.filter({ hasText: executor }).count(), 1);
  }
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("#checks-copy");
  await textLike(page, "#checks-status", /^Copied/);
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assertEquals(report.checks.every(({ passed }: { passed: boolean }) => passed), true);
});
