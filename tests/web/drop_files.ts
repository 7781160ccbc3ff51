/// <reference lib="dom" />
import type { Page } from "npm:playwright-core@1.64.1";

/** Drops files on the page, by name. */
export async function dropFiles(
  page: Page,
  files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>,
): Promise<void> {
  const texts = Object.entries(files).map(([name, bytes]) => [name, bytes.toBase64()] as const);
  const transfer = await page.evaluateHandle((given) => {
    const transfer = new DataTransfer();
    for (const [name, text] of given) {
      transfer.items.add(new File([Uint8Array.fromBase64(text)], name));
    }
    return transfer;
  }, texts);
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}
