import { assertEquals, assertLess, assertMatch } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { defined } from "../defined.ts";
import { unzip } from "./unzip.ts";
import { pageTest, textLike } from "./with_page.ts";

/** Easy to learn, and long enough for its windows. */
const TEXT = "the snake slithers over the stones, and the stones are warm.\n".repeat(60);

pageTest(
  "a model of a text is trained in the page, writes there, and is a checkpoint for Deno",
  async (
    { page },
  ) => {
    await page.fill("#training-text", TEXT);
    await page.fill("#training-steps", "20");
    await page.click("#training-start");
    const status = await textLike(page, "#training-status", /^Step 20 of 20: .* kept apart/);
    assertMatch(status, /tokens to train on, .* on CPU/);
    const loss = Number(/loss ([\d.]+)/.exec(status)?.[1]);
    assertLess(loss, Math.log(new Set(TEXT).size));
    const points = await page.locator("#training-chart polyline").first().getAttribute("points");
    assertEquals(points?.split(" ").length, 20);

    const download = page.waitForEvent("download");
    await page.click("#training-save");
    const zip = defined(await (await download).path());
    await page.click("#training-use");
    await textLike(page, "#training-status", /^Loaded/);
    await page.fill("#text-prompt", "the snake");
    await page.fill("#text-tokens", "30");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.locator(".column").filter({ hasText: "39 tokens ·" }).waitFor();
    const written = await page.locator(".column .text").textContent();

    const folder = await Deno.makeTempDir();
    try {
      await unzip(zip, folder);
      using model = await loadModel(`${folder}/my-text`, { backend: "cpu" });
      const options = { maxTokens: 30, temperature: 0.8, seed: 7 };
      const tokens = await Array.fromAsync(model.generate("the snake", options));
      assertEquals(written, `the snake${tokens.map(({ text }) => text).join("")}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
