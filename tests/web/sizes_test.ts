import { assertAlmostEquals, assertEquals } from "@std/assert";
import { buildWeb } from "../../tools/build_web.ts";
import { describeSizes, webSizes } from "../../tools/web_sizes.ts";

/** The last cell or column of lines: kilobytes, several with slashes between them. */
function kilobytes(lines: readonly string[]): number[] {
  return lines.flatMap((line) => {
    const [, numbers = ""] = /((?:\d+ \/ )*\d+) kB/.exec(line) ?? [];
    return numbers.split(" / ").map(Number);
  });
}

Deno.test("docs/platforms.md's sizes are those of a page that is built now, to within a twentieth", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await buildWeb(folder);
    const found = kilobytes(describeSizes(await webSizes(folder)));
    const page = await Deno.readTextFile(new URL("../../docs/platforms.md", import.meta.url));
    const [, shown = ""] = /^\$ deno task web$(.*?)^```$/ms.exec(page) ?? [];
    const told = kilobytes(shown.split("\n").filter((line) => / kB$/.test(line)));
    assertEquals(told.length, found.length);
    for (const [i, size] of found.entries()) assertAlmostEquals(told[i] ?? NaN, size, size / 20);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
