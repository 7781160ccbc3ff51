import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { barChart } from "../../tools/bar_chart.ts";
import { plotOf } from "../../tools/plot.ts";

const PLOTS = new URL("../../docs/plots/", import.meta.url);
const read = (name: string) => Deno.readTextFileSync(new URL(name, PLOTS));

Deno.test("the plots of docs/ are those of the measurements beside them", () => {
  const names = [...Deno.readDirSync(PLOTS)].map(({ name }) => name)
    .filter((name) => name.endsWith(".jsonl")).map((name) => name.replace(".jsonl", ""));
  assert(names.length >= 3, names.join());
  for (const name of names) {
    assertEquals(read(`${name}.svg`), plotOf(name, read(`${name}.jsonl`)), `${name}.svg`);
  }
});

Deno.test("plotOf() says of a line that is computed that it is not measured", () => {
  assertStringIncludes(plotOf("cost", read("cost.jsonl")), "by formula (not measured)");
});

Deno.test("the cost of a token that docs/ shows does not grow with what came before", () => {
  const costs = read("cost.jsonl").trim().split("\n")
    .map((line): number => JSON.parse(line).microsecondsPerToken);
  assert(Math.max(...costs) / Math.min(...costs) < 1.1, costs.join());
});

Deno.test("plotOf() says what a line lacks", () => {
  assertThrows(
    () => plotOf("speed", '{ "bench": "decode", "sessions": "1" }'),
    TypeError,
    'Cannot plot: sessions is "1", expected a number',
  );
});

Deno.test("barChart() draws each group from zero to its own largest", () => {
  const bar = (name: string, value: number) => ({ name, value, isOther: false });
  const svg = barChart("a < b", " GB", [
    { title: "first", bars: [bar("x", 1), bar("y", 2)] },
    { title: "second", bars: [bar("z", 4000)] },
  ]);
  const widths = [...svg.matchAll(/x="250" y="\d+" width="([\d.]+)"/g)].map(([, width]) => width);
  assertEquals(widths, ["230.0", "460.0", "460.0"]);
  for (const text of [">a &lt; b<", ">4,000 GB<", ">second<"]) assertStringIncludes(svg, text);
});
