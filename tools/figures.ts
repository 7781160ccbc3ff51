// deno-lint-ignore-file no-console -- a command: what it says is its result.
/**
 * Puts the table of tools/bench/baseline.json into docs/figures.md, between the comments that say "figures":
 *
 *     deno task bench all --json --save tools/bench/baseline.json
 *     deno run --allow-read --allow-write tools/figures.ts
 *
 * A column is a run: its device, with Deno's version and the date.
 */

import { readRuns, type Run } from "./bench/baseline.ts";
import { isTime, type Row, ROWS, UNITS } from "./bench/rows.ts";
import { answerHelp } from "./help.ts";

const ROOT = new URL("../", import.meta.url);
const BASELINE = new URL("tools/bench/baseline.json", ROOT);
const PAGE = new URL("docs/figures.md", ROOT);

/** Where the page has the table. */
const PLACE = /(<!-- figures -->\n)[^]*?(\n<!-- end of figures -->)/;

/** The page with the table of these runs. */
export function withFigures(page: string, runs: readonly Run[]): string {
  if (!PLACE.test(page)) {
    throw new SyntaxError(
      'Cannot write the figures: found no place for them, needed "<!-- figures -->" and "<!-- end of figures -->"',
    );
  }
  return page.replace(
    PLACE,
    (_, begin: string, end: string) => `${begin}\n${figuresTable(runs)}\n${end}`,
  );
}

/** The runs as a table in Markdown, a column each: rows that none of them has are not in it. */
export function figuresTable(runs: readonly Run[], rows: readonly Row[] = ROWS): string {
  const titles = runs.map(({ device, deno, date }) => `${device}, Deno ${deno}, ${date}`);
  const lines = rows.filter(({ name }) => runs.some(({ figures }) => name in figures)).map((
    row,
  ) => [
    row.name,
    ...runs.map(({ figures }) => inUnits(row, figures[row.name])),
    inUnits(row, row.official),
  ]);
  return markdownTable([["work", ...titles, "`mamba_ssm` on an H100"], ...lines]);
}

function inUnits(row: Row, value: number | undefined): string {
  if (value === undefined) return "";
  const digits = { maximumFractionDigits: isTime(row) ? 2 : 0 };
  return `${value.toLocaleString("en-US", digits)} ${UNITS[row.figure]}`;
}

/** Cells of equal width, as `deno fmt` has them. */
function markdownTable([head = [], ...lines]: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...lines].map((cells) => (cells[column] ?? "").length))
  );
  const join = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const padded = (cells: readonly string[]): string =>
    join(widths.map((width, column) => (cells[column] ?? "").padEnd(width)));
  const rule = join(widths.map((width) => "-".repeat(width)));
  return [padded(head), rule, ...lines.map(padded)].join("\n");
}

if (import.meta.main) {
  answerHelp(import.meta.url);
  const runs = await readRuns(BASELINE);
  await Deno.writeTextFile(PAGE, withFigures(await Deno.readTextFile(PAGE), runs));
  console.log(`docs/figures.md has ${runs.length} runs`);
}
