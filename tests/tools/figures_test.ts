import { assertEquals, assertThrows } from "@std/assert";
import { readRuns, type Run } from "../../tools/bench/baseline.ts";
import { ROWS } from "../../tools/bench/rows.ts";
import { figuresTable, withFigures } from "../../tools/figures.ts";

const ROOT = new URL("../../", import.meta.url);

const RUN: Run = {
  ...{ device: "a card", deno: "2.9.6", date: "2026-11-27" },
  figures: { "decode mamba-130m f16": 1234.6, "weights/mnist, a whole image": 1.534, gone: 5 },
};

Deno.test("figuresTable() has a column a run, and the rows that some run has", () => {
  const cpu = { ...RUN, device: "CPU", figures: { "weights/mnist, a whole image": 20 } };
  assertEquals(
    figuresTable([RUN, cpu]),
    `
| work                         | a card, Deno 2.9.6, 2026-11-27 | CPU, Deno 2.9.6, 2026-11-27 | \`mamba_ssm\` on an H100 |
| ---------------------------- | ------------------------------ | --------------------------- | ---------------------- |
| weights/mnist, a whole image | 1.53 ms                        | 20 ms                       |                        |
| decode mamba-130m f16        | 1,235 tokens/s                 |                             | 1,398 tokens/s         |
`.trim(),
  );
});

Deno.test("withFigures() replaces what is between its comments, and needs them", () => {
  const page = "a\n<!-- figures -->\n\nold\n\n<!-- end of figures -->\nb\n";
  const once = withFigures(page, [RUN]);
  assertEquals(
    once,
    `a\n<!-- figures -->\n\n${figuresTable([RUN])}\n\n<!-- end of figures -->\nb\n`,
  );
  assertEquals(withFigures(once, [RUN]), once);
  assertThrows(() => withFigures("a", [RUN]), SyntaxError, "Cannot write the figures: found no");
});

Deno.test("docs/figures.md has the table of tools/bench/baseline.json, whose rows there are", async () => {
  const runs = await readRuns(new URL("tools/bench/baseline.json", ROOT));
  const page = await Deno.readTextFile(new URL("docs/figures.md", ROOT));
  assertEquals(withFigures(page, runs), page, "run tools/figures.ts");
  const names = new Set(ROWS.map(({ name }) => name));
  assertEquals(names.size, ROWS.length, "names are unique");
  const unknown = runs.flatMap(({ figures }) => Object.keys(figures))
    .filter((name) => !names.has(name));
  assertEquals(unknown, []);
});
