import { assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { goldenPath } from "../golden_files.ts";
import { dropFiles } from "./drop_files.ts";
import { pageTest, textLike } from "./with_page.ts";

const FILES = ["config.json", "model.safetensors", "tokenizer.json"];

pageTest(
  "a column goes to the other executor with its state, and writes on as if it had not",
  async (
    { page, reload },
  ) => {
    // A digit would be read on the software adapter at the same time, for a minute or two: here it never begins.
    await page.route("**/weights/mnist/config.json", () => {});
    await reload();
    const files = FILES.map((name) =>
      [name, Deno.readFileSync(`${goldenPath("mamba1")}/${name}`)] as const
    );
    await dropFiles(page, Object.fromEntries(files));
    await page.click("#checkpoint-load");
    await textLike(page, "#checkpoint-status", /^Loaded/);
    await page.fill("#text-prompt", "Hey");
    await page.fill("#text-tokens", "8");
    await page.fill("#text-temperature", "0");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    const column = page.locator(".column");
    await column.filter({ hasText: "tokens/s" }).waitFor();
    await column.getByRole("button", { name: "Continue" }).waitFor();
    await page.getByRole("radio", { name: "WebGPU" }).check();
    await textLike(page, "#executor-status", /^WebGPU: google swiftshader.*files' model/);
    await column.getByRole("button", { name: "Continue" }).click();
    await column.getByRole("button", { name: "Continue" }).waitFor();
    using model = await loadModel(goldenPath("mamba1"), { backend: "cpu" });
    const tokens = await Array.fromAsync(model.generate("Hey", { maxTokens: 16, temperature: 0 }));
    const expected = `Hey${tokens.map(({ text }) => text).join("")}`;
    assertEquals(await column.locator(".text").textContent(), expected);
  },
);
