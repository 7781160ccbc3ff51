/// <reference lib="dom" />
import { assertEquals, assertMatch } from "@std/assert";
import { pageTest, textLike } from "./with_page.ts";

pageTest("checks of kernels pass in the page, under the limits that every device has", async (
  { page },
) => {
  await textLike(page, "#device-facts", /google swiftshader, which computes on the CPU/);
  await page.check("#checks-default-limits");
  await page.click("#checks-quick");
  const row = (kernel: string, executor: string) =>
    page.locator("#checks-rows tr", { hasText: kernel }).filter({ hasText: executor });
  // A software adapter takes minutes for the kernels that follow: these have come by then.
  await row("conv1d_fwd", "WebGPU").waitFor();
  await row("selective_scan_fwd", "WebAssembly").waitFor();
  await page.click("#checks-stop");
  const status = await textLike(page, "#checks-status", /^Stopped/);
  assertEquals(await page.locator("#checks-rows .failed").allInnerTexts(), []);
  assertMatch(status, /^Stopped\. \d+ checks passed, 0 failed\.$/);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("#checks-copy");
  await textLike(page, "#checks-status", /^Copied/);
  const report = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assertEquals(report.checks.every(({ passed }: { passed: boolean }) => passed), true);
});
