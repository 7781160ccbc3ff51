import { Buffer } from "node:buffer";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Page } from "npm:playwright-core@1.64.1";
import { defined } from "../defined.ts";
import { dropFiles } from "./drop_files.ts";
import { pageTest, textLike } from "./with_page.ts";

const PROMPT = "ROMEO:\n";

/** Tokens of each part, so that two parts end where the command is told to. */
const TOKENS = 40;

/** What the command writes with the page's settings. */
async function commandText(tokens: number, seed: number): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "infer.ts", "generate", "weights/shakespeare", "--backend", "cpu"],
      ...["--prompt", PROMPT, "--max-tokens", String(tokens), "--seed", String(seed)],
      ...["--temperature", "0.8"],
    ],
    cwd: new URL("../..", import.meta.url),
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return PROMPT + new TextDecoder().decode(stdout).slice(0, -1);
}

/** A column's text, once it stands still after so many tokens. */
async function columnText(page: Page, index: number, tokens: number): Promise<string> {
  const column = page.locator(".column").nth(index);
  const { length } = PROMPT;
  await column.filter({ hasText: `${length + tokens} tokens ·` }).waitFor();
  await column.getByRole("button", { name: "Continue" }).waitFor();
  return await column.locator(".text").innerText();
}

pageTest("text in the page is the command's, in forks and after a state was saved", async (
  { page, reload },
  t,
) => {
  const column = (index: number) => page.locator(".column").nth(index);
  const button = (index: number, name: string) => column(index).getByRole("button", { name });
  let saved: Uint8Array<ArrayBuffer> | undefined;
  const whole = await commandText(2 * TOKENS, 7);

  await t.step("for the same seed it is the same", async () => {
    await page.fill("#text-prompt", PROMPT);
    await page.fill("#text-tokens", String(TOKENS));
    await page.getByRole("button", { name: "Write", exact: true }).click();
    assertEquals(await columnText(page, 0, TOKENS), whole.slice(0, PROMPT.length + TOKENS));
    assertMatch(await page.innerText("#executor-status"), /^WebAssembly: CPU, up to 2 threads/);
  });

  await t.step("a fork goes on from the same state with its own seed", async () => {
    await button(0, "Fork").click();
    const forked = await columnText(page, 1, 2 * TOKENS);
    assertStringIncludes(forked, whole.slice(0, PROMPT.length + TOKENS));
    assertEquals(await column(1).getByLabel("Seed").inputValue(), "8");
    await button(1, "Close").click();
    await column(1).waitFor({ state: "detached" });
  });

  await t.step("a state is saved as a file", async () => {
    const download = page.waitForEvent("download");
    await button(0, "Save state").click();
    const path = defined(await (await download).path());
    assertEquals((await download).suggestedFilename(), "after-47.state.safetensors");
    saved = await Deno.readFile(path);
  });

  await t.step("the same column continues as the command does", async () => {
    await button(0, "Continue").click();
    assertEquals(await columnText(page, 0, 2 * TOKENS), whole);
  });

  await t.step("another day the state is dropped on the page, and continues so, too", async () => {
    await reload();
    await dropFiles(page, { "monday.state.safetensors": defined(saved) });
    await column(0).waitFor();
    await page.fill("#text-tokens", String(TOKENS));
    await button(0, "Continue").click();
    const text = await columnText(page, 0, 2 * TOKENS);
    assertEquals(text, `[monday.state.safetensors] ${whole.slice(PROMPT.length + TOKENS)}`);
  });

  await t.step("a column can be stopped", async () => {
    await page.fill("#text-tokens", "100000");
    await button(0, "Continue").click();
    await button(0, "Stop").click();
    await button(0, "Continue").waitFor();
  });

  await t.step("what is no state is refused in words", async () => {
    await page.setInputFiles("#text-state", {
      name: "not.safetensors",
      mimeType: "",
      buffer: Buffer.from("nothing of the kind"),
    });
    assertMatch(await textLike(page, "#text-status", /not/), /^Cannot read "not.safetensors"/);
  });
});
