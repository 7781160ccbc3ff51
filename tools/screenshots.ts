// deno-lint-ignore-file no-console -- a command: what it says is its result.
/// <reference lib="dom" />
/**
 * Takes the screenshots of the page that docs/ shows: three widths, light and dark.
 *
 *     deno run -A tools/screenshots.ts
 */

import { chromium } from "npm:playwright-core@1.64.1";
import { buildWeb } from "./build_web.ts";
import { findBrowser } from "./ensure_browser.ts";
import { answerHelp } from "./help.ts";
import { folderHandler } from "./serve_folder.ts";

answerHelp(import.meta.url);
const SIZES = [["wide", 1280], ["medium", 800], ["phone", 390]] as const;
const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
const folder = await Deno.makeTempDir();
await buildWeb(folder);
await Deno.mkdir(`${root}docs/screenshots`, { recursive: true });
await using server = Deno.serve(
  { port: 0, hostname: "localhost", onListen() {} },
  folderHandler(folder, { isolated: true }),
);
const executablePath = findBrowser();
if (executablePath === undefined) throw new Error("Run tools/ensure_browser.ts first");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const [name, width] of SIZES) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  await page.goto(`http://localhost:${server.addr.port}/`);
  await page.locator("#digit-verdict", { hasText: "Pixel 784" }).waitFor();
  await page.fill("#text-tokens", "400");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  const columns = page.locator(".column");
  await columns.getByRole("button", { name: "Continue" }).waitFor();
  await columns.getByRole("button", { name: "Fork" }).click();
  await columns.nth(1).getByRole("button", { name: "Continue" }).waitFor();
  const text = await columns.first().locator(".text").innerText();
  await page.fill("#training-text", text.repeat(4));
  await page.fill("#training-steps", "60");
  await page.click("#training-start");
  await page.locator("#training-use:enabled").waitFor();
  await page.click("#checks-quick");
  await page.locator("#checks-quick:enabled").waitFor();
  await page.setInputFiles("#checkpoint-files", [
    ...["config.json", "model.safetensors"].map((file) => `${root}weights/mnist/${file}`),
  ]);
  await page.locator("#checkpoint-facts dd").first().waitFor();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const path = `${root}docs/screenshots/${name}-${colorScheme}.jpg`;
    await page.screenshot({ path, fullPage: true, type: "jpeg", quality: 22 });
    console.log(path.slice(root.length));
  }
  await page.close();
}
await browser.close();
await Deno.remove(folder, { recursive: true });
