import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import { dropFiles } from "./drop_files.ts";
import { pageTest, textLike } from "./with_page.ts";

const FILES = ["config.json", "model.safetensors", "tokenizer.json"];

pageTest("a checkpoint that is dropped on the page says what it takes, and then writes", async (
  { page },
) => {
  const files = FILES.map((name) =>
    [name, Deno.readFileSync(`${goldenPath("mamba1")}/${name}`)] as const
  );
  await dropFiles(page, Object.fromEntries(files));
  const facts = await textLike(page, "#checkpoint-facts", /Mamba-1/);
  assertMatch(facts, /Memory\s+130 MB: [\d.]+ KB of weights, about 130 MB to work in/);
  await page.click("#checkpoint-load");
  await textLike(page, "#checkpoint-status", /^Loaded/);
  await page.fill("#text-prompt", "Hey");
  await page.fill("#text-tokens", "8");
  await page.fill("#text-temperature", "0");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  const column = page.locator(".column");
  await column.filter({ hasText: "tokens/s" }).waitFor();
  await column.getByRole("button", { name: "Continue" }).waitFor();
  using model = await loadModel(goldenPath("mamba1"), { backend: "cpu" });
  const tokens = await Array.fromAsync(model.generate("Hey", { maxTokens: 8, temperature: 0 }));
  const expected = `Hey${tokens.map(({ text }) => text).join("")}`;
  assertEquals(await column.locator(".text").textContent(), expected);
});

pageTest("a checkpoint at an address is kept by the browser, and deleted when told to", async (
  { page, reload },
) => {
  await using hub = new LocalHub();
  hub.addFolder("owner/name", "main", goldenPath("mamba1"), FILES);
  const url = `${hub.endpoint}/owner/name/resolve/main/`;
  const load = async () => {
    await page.fill("#checkpoint-source", url);
    await page.click("#checkpoint-form button[type=submit]");
    await textLike(page, "#checkpoint-facts", /Mamba-1/);
    await page.click("#checkpoint-load");
    await textLike(page, "#checkpoint-status", /^Loaded/);
  };
  await load();
  await textLike(page, "#checkpoint-kept", /model\.safetensors, [\d.]+ KB/);
  const asked = hub.requests.length;
  assertGreater(asked, 0);
  await reload();
  await load();
  // Whether the files are the same is asked with a byte each, and nothing else.
  const ranges = hub.requests.slice(asked).map(({ headers }) => headers.get("range"));
  assertEquals([...new Set(ranges)], ["bytes=0-0"]);
  while (await page.locator("#checkpoint-kept button").count() > 0) {
    const left = await page.locator("#checkpoint-kept li").count();
    await page.locator("#checkpoint-kept button").first().click();
    await page.locator(`#checkpoint-kept li`).nth(left - 1).waitFor({ state: "detached" });
  }
  assertEquals(await page.locator("#checkpoint-kept-title").isVisible(), false);
}, { asksOthers: true });

pageTest("a checkpoint that cannot be loaded says why", async ({ page }) => {
  await page.fill("#checkpoint-source", "./weights");
  await page.click("#checkpoint-form button[type=submit]");
  const status = await textLike(page, "#checkpoint-status", /^Cannot/);
  assertMatch(status, /^Cannot load ".\/weights": a page reads no folders/);
});
