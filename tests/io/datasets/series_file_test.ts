import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import { openSeries, parseSeries } from "../../../src/io/datasets/series.ts";
import { pickSeries, seriesExamples, standardization } from "../../../src/train/series_examples.ts";

async function withText(text: string, run: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    await run(path);
  } finally {
    await Deno.remove(path);
  }
}

/** More than a piece of a file, with empty lines, and line ends of both kinds. */
function manyLines(count: number): string {
  const random = new Random(2);
  return Array.from({ length: count }, (_, i) => {
    const values = random.uniform(40, -3, 5);
    return `${i % 3 + 1}.0,${values.join(",")}${i % 7 === 0 ? "\r\n\n" : "\n"}`;
  }).join("");
}

Deno.test("openSeries() gives what the same file gives in memory", async () => {
  for (const text of [manyLines(9), manyLines(3000), manyLines(9).trimEnd()]) {
    await withText(text, async (path) => {
      const memory = parseSeries(text, path), file = await openSeries(path);
      const { values: all, ...rest } = memory;
      assertEquals({ ...file, values: undefined }, { ...rest, values: undefined });
      assertEquals(file.values.length, all.length);
      assertEquals(file.values.subarray(0, 200), all.subarray(0, 200));
      assertEquals(file.values.subarray(50, 130), all.subarray(50, 130));
      const last = all.length;
      assertEquals(file.values.subarray(last - 40, last), all.subarray(last - 40, last));
      const odd = (index: number) => index % 2 === 1;
      const [few, own] = [pickSeries(memory, odd), pickSeries(file, odd)];
      assertEquals(own.labels, few.labels);
      const [wanted, found] = [standardization(few), standardization(own)];
      assertAlmostEquals(found.mean[0] ?? NaN, wanted.mean[0] ?? 0, 1e-6);
      assertAlmostEquals(found.std[0] ?? NaN, wanted.std[0] ?? 0, 1e-6);
      const draws = [3, 0, 1].map((example) => ({ example, epoch: 0 }));
      assertEquals(
        seriesExamples(own, wanted).read(draws),
        seriesExamples(few, wanted).read(draws),
      );
    });
  }
});

Deno.test("openSeries() refuses what is no series, by its line", async () => {
  const refuses = (text: string, message: string) =>
    withText(text, async (path) => {
      await assertRejects(() => openSeries(path), SyntaxError, message);
    });
  await refuses("", "it holds no series");
  await refuses("1,2,3\n2,3\n", "line 2 has 1 values after its class, expected 2");
  await refuses(`${manyLines(3000)}1,x\n`, 'line 3430 is "x"');
  await refuses("0,1\n1,2\n2,3\n3,4\n", "counts the 4 lines");
  await refuses("1,2,?\n", 'is "?"');
  await withText("1,2,3\n2,3,4\n", async (path) => {
    await assertRejects(() => openSeries(path, ["1"]), SyntaxError, 'of class "2"');
    const { values } = await openSeries(path);
    await Deno.writeTextFile(path, "1,2\n");
    assertThrows(() => values.subarray(2, 4), RangeError, "it has changed");
  });
});
