import { Buffer } from "node:buffer";
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import type { Page } from "npm:playwright-core@1.64.1";
import { loadModel } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";
import { LocalHub } from "../io/hub/local_hub.ts";
import { pageTest, textLike } from "./with_page.ts";

const FILES = ["config.json", "model.safetensors", "tokenizer.json"];

/** The hub's address, which a page cannot be told to change. */
const HUB = "https://huggingface.co";

/** Answers for the hub out of one on this machine; redirects are followed here, as a browser would. */
async function playHub(page: Page, hub: LocalHub): Promise<void> {
  await page.context().route(`${HUB}/**`, async (route) => {
    const request = route.request();
    const response = await fetch(request.url().replace(HUB, hub.endpoint), {
      method: request.method(),
      headers: { range: await request.headerValue("range") ?? "" },
    });
    await route.fulfill({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: Buffer.from(await response.bytes()),
    });
  });
}

/** Looks at a checkpoint and loads it. */
async function load(page: Page, source: string): Promise<void> {
  await page.fill("#checkpoint-source", source);
  await page.click("#checkpoint-form button[type=submit]");
  await textLike(page, "#checkpoint-facts", /Mamba-1/);
  await page.click("#checkpoint-load");
}

/** What the page writes after a prompt, greedily. */
async function write(page: Page, prompt: string, tokens: number): Promise<string> {
  await page.fill("#text-prompt", prompt);
  await page.fill("#text-tokens", String(tokens));
  await page.fill("#text-temperature", "0");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  const column = page.locator(".column").first();
  await column.filter({ hasText: "tokens/s" }).waitFor();
  await column.getByRole("button", { name: "Continue" }).waitFor();
  return await column.locator(".text").innerText();
}

async function expectedText(prompt: string, maxTokens: number): Promise<string> {
  using model = await loadModel(goldenPath("mamba1"), { backend: "cpu" });
  const tokens = await Array.fromAsync(model.generate(prompt, { maxTokens, temperature: 0 }));
  return prompt + tokens.map(({ text }) => text).join("");
}

pageTest("a model of the hub is loaded by its name, from one commit, and writes", async (
  { page },
) => {
  await using hub = new LocalHub();
  const commit = hub.addFolder("owner/name", "main", goldenPath("mamba1"), FILES);
  await playHub(page, hub);
  await load(page, "owner/name");
  await textLike(page, "#checkpoint-status", /^Loaded/);
  assertEquals(await write(page, "Hey", 8), await expectedText("Hey", 8));
  const others = hub.requests.filter(({ revision }) => revision !== commit);
  assertEquals([...new Set(others.map(({ file }) => file))], ["config.json"]);
}, { asksOthers: true });

pageTest("a name that the hub does not know is refused in words", async ({ page }) => {
  await using hub = new LocalHub();
  await playHub(page, hub);
  await page.fill("#checkpoint-source", "nobody/nothing");
  await page.click("#checkpoint-form button[type=submit]");
  const status = await textLike(page, "#checkpoint-status", /^Cannot/);
  assertMatch(status, /^Cannot download "config.json" of "nobody\/nothing@main": the hub answered/);
}, { asksOthers: true, mayFail: /401/ });

pageTest("a download that breaks off goes on where it ended, another day", async (
  { page, reload },
) => {
  await using hub = new LocalHub();
  hub.addFolder("owner/name", "main", goldenPath("mamba1"), FILES);
  const url = `${hub.endpoint}/owner/name/resolve/main/`;
  /** Ranges of weights that were answered, of more than the byte that asks what a file is. */
  const pieces = () =>
    hub.requests.slice(asked).filter(({ server, file }) =>
      server === "storage" && file === "model.safetensors"
    ).map(({ headers }) => headers.get("range") ?? "").filter((range) => range !== "bytes=0-0");
  let asked = 0;
  hub.fault = ({ server }) =>
    server === "storage" && pieces().length > 12 ? new Response(null, { status: 403 }) : undefined;
  await load(page, url);
  await textLike(page, "#checkpoint-status", /^Cannot read .*403/);
  const before = new Set(pieces().slice(0, 12));
  assertGreater(before.size, 5);

  hub.fault = undefined;
  asked = hub.requests.length;
  await reload();
  await load(page, url);
  await textLike(page, "#checkpoint-status", /^Loaded/);
  const after = pieces();
  assertGreater(after.length, 0);
  assert(!after.some((range) => before.has(range)), `asked again for one of ${[...before]}`);
  assertEquals(await write(page, "Hey", 8), await expectedText("Hey", 8));
}, { asksOthers: true, mayFail: /403/ });
