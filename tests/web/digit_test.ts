import {
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertMatch,
} from "@std/assert";
import { defined } from "../defined.ts";
import { webSizes } from "../../tools/web_sizes.ts";
import { pageTest, textLike } from "./with_page.ts";

/** What a reader has downloaded by the time the page first says something. */
const MAX_FIRST_BYTES = 1_200_000;

/** For a digit on a software adapter, which first compiles its kernels. */
const SOFTWARE_MS = 600_000;

pageTest("the page reads a digit of the test set, and one that is drawn by mouse", async (
  { page, sentBytes, folder },
  t,
) => {
  await t.step("a first result after at most 1.2 MB", async () => {
    await textLike(page, "#digit-verdict", /Pixel \d+ of 784: a \d/);
    assertLessOrEqual(sentBytes(), MAX_FIRST_BYTES);
  });

  await t.step("the answer, and from which pixel on it stays", async () => {
    const verdict = await textLike(page, "#digit-verdict", /Pixel 784 of 784/);
    // What the build says of itself, and README with it; that a file is not there takes some bytes, too.
    const { firstResult } = await webSizes(folder);
    assertAlmostEquals(sentBytes(), firstResult, firstResult / 1000);
    assertMatch(verdict, /^Pixel 784 of 784: a 3 \(\d+ %\), decided at pixel \d+$/);
    assertMatch(await page.innerText("#digit-facts"), /^State: 124 KB, after pixel 1 as after/);
    const shares = await page.locator("#digit-bars .percent").allInnerTexts();
    assertEquals(shares.length, 10);
    assertGreater(parseInt(shares[3] ?? ""), 50);
  });

  await t.step("the slider goes back to any moment, by keyboard too", async () => {
    await page.focus("#digit-moment");
    await page.keyboard.press("Home");
    assertEquals(await page.innerText("#digit-verdict"), "Pixel 0 of 784");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    assertMatch(await page.innerText("#digit-verdict"), /^Pixel 3 of 784: a \d/);
  });

  await t.step("what is drawn is named", async () => {
    await page.click("#digit-clear");
    await page.locator("#digit-pad").scrollIntoViewIfNeeded();
    const box = defined(await page.locator("#digit-pad").boundingBox() ?? undefined);
    const at = (x: number, y: number) => [box.x + x * box.width, box.y + y * box.height] as const;
    await page.mouse.move(...at(0.28, 0.22));
    await page.mouse.down();
    await page.mouse.move(...at(0.7, 0.22), { steps: 8 });
    await page.mouse.move(...at(0.42, 0.82), { steps: 8 });
    await page.mouse.up();
    await textLike(page, "#digit-verdict", /^Pixel 784 of 784: a 7 /);
    assertEquals(await page.locator("#digit-choices [aria-pressed=true]").count(), 0);
  });
}, { base: "/some/where/" });

pageTest("the page reads a digit on WebGPU, and says the same", async ({ page }) => {
  const digits = page.locator("#digit-bars .percent");
  await textLike(page, "#digit-verdict", /Pixel 784 of 784: a 3/);
  const onCpu = await digits.allInnerTexts();
  const facts = page.locator("#digit-facts");
  const before = await facts.innerText();
  await page.getByRole("radio", { name: "WebGPU" }).check();
  await textLike(page, "#executor-status", /^WebGPU: google swiftshader/);
  // Until then what stands there is the CPU's.
  await facts.filter({ hasNotText: before }).waitFor({ timeout: SOFTWARE_MS });
  assertMatch(await page.innerText("#digit-verdict"), /^Pixel 784 of 784: a 3 /);
  assertEquals(await digits.allInnerTexts(), onCpu);
});

pageTest("the page runs on one thread where the server does not isolate it", async ({ page }) => {
  await textLike(page, "#digit-verdict", /Pixel 784 of 784: a 3/);
  assertMatch(await page.innerText("#executor-status"), /^WebAssembly: CPU, 1 thread, SIMD/);
}, { isolated: false });
