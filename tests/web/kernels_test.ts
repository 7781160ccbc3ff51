/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { checksWith } from "../../src/checks/kernel_check.ts";
import { KERNEL_CHECKS } from "../../src/checks/kernel_checks.ts";
import { CHECKED_WEBGPU_OPS } from "../../src/checks/webgpu_ops.ts";
import { pageTest } from "./with_page.ts";

/** A software adapter compiles each kernel for seconds, of the longest for a quarter of a minute. */
const TIMEOUT_MS = 900_000;

pageTest("every kernel passes a check under the limits that every device has", async (
  { page, reload },
) => {
  // No digit is read at the same time.
  await page.route("**/weights/mnist/config.json", () => {});
  await reload();
  await page.check("#checks-default-limits");
  await page.click("#checks-quick");
  await page.locator("#checks-quick:enabled").waitFor({ timeout: TIMEOUT_MS });
  assertEquals(await page.locator("#checks-rows .failed").allInnerTexts(), []);
  const rows = page.locator("#checks-rows tr", { hasText: "WebGPU" });
  const onWebGpu = checksWith(CHECKED_WEBGPU_OPS, KERNEL_CHECKS);
  assertEquals(
    await rows.locator("th").allInnerTexts(),
    [...new Set(onWebGpu.map(({ kernel }) => kernel))],
  );
});
