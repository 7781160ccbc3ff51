import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Random } from "../../../src/checks/random.ts";
import {
  loadSeries,
  openSeries,
  parseSeries,
  type SeriesDataset,
} from "../../../src/io/datasets/series.ts";
import { SeriesFile } from "../../../src/io/datasets/series_file.ts";
import { decodeText } from "../../../src/io/datasets/text.ts";
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
      const wanted = standardization(few);
      assertEquals(standardization(own), wanted);
      const draws = [3, 0, 1].map((example) => ({ example, epoch: 0 }));
      assertEquals(
        seriesExamples(own, wanted).read(draws),
        seriesExamples(few, wanted).read(draws),
      );
    });
  }
});

/** Series in every form that there is. */
const FORMS: Readonly<Record<string, string>> = {
  "UCR's lines": "2 0.5 -2 1e-3\n10 3 4 5\r\n\r\n-1.0 5 6 7\n2.0e0 8 9 1\n",
  "decimal commas": "2;0,5;-2,25;0\n10;3;4;5\n2;5;6;7",
  "old line ends": "2,1,2,3\r10,3,4,5\r\r2,5,6,7\r",
  "a CSV's columns": "t0,label,t1,t2\n0.5,two,-2,1\n3,ten,4,2\n\n5,two,6,3\n7,ten,8,4\n",
  "a CSV of pandas": ",t0,t1,kind\r\n0,0.5,-2,2\r\n1,3,4,10\r\n2,5,6,2\r\n3,5,7,2\r\n",
  "a CSV with quotes": '"t,0";"y";"t1"\n0,5;"a ""b""";-2\n"3";c;4\n5;c;6\n',
  ".ts":
    "# of somebody\n\n@problemName x\n@univariate true\n@classLabel true 2 10\n@data\n0.5,-2:2\n" +
    "# between: 1\n3,4:10\n5,6:2\n",
  ".arff": "% of somebody\n@relation x\n@attribute a numeric\n@attribute b real\n" +
    "@attribute target {2, 10}\n\n@data\n0.5,-2,2\n% between\n3,4,10\n\n5,6,'2'\n",
};

/** What reading gives, or that it refuses. */
async function outcome(
  read: () => SeriesDataset | Promise<SeriesDataset>,
): Promise<unknown> {
  try {
    const { values, ...rest } = await read();
    return { ...rest, values: values.subarray(0, values.length) };
  } catch (error) {
    if (error instanceof SyntaxError) return "refused";
    throw error;
  }
}

for (const [form, text] of Object.entries(FORMS)) {
  Deno.test(`openSeries() reads ${form} as it is read in memory, wherever the file is cut`, async () => {
    await withText(text, async (path) => {
      const expected = await outcome(() => parseSeries(text, path));
      assert(expected !== "refused");
      for (const pieceBytes of [1, 7, 16, 33, 64, 1000]) {
        const found = await openSeries(path, undefined, pieceBytes);
        assertEquals(await outcome(() => found), expected, `${pieceBytes}`);
        assertEquals(standardization(found), standardization(parseSeries(text, path)));
      }
    });
  });

  Deno.test(`openSeries() takes and refuses the same bytes in the form of ${form} as memory does`, async () => {
    const random = new Random(7);
    const draw = (below: number) => Math.floor(random.next() * below);
    const whole = new TextEncoder().encode(text);
    const marks = new TextEncoder().encode("\r\n\t ,;:@#%\"'?.0aE-{}");
    await withText(text, async (path) => {
      let refused = 0;
      for (let round = 0; round < 200; round++) {
        const bytes = whole.slice(0, round % 5 === 0 ? draw(whole.length) + 1 : whole.length);
        for (let i = 0; i <= round % 3; i++) {
          bytes[draw(bytes.length)] = round % 4 === 0 ? draw(256) : marks[draw(marks.length)] ?? 0;
        }
        await Deno.writeFile(path, bytes);
        const memory = await outcome(() => parseSeries(decodeText(bytes, path), path));
        const file = await outcome(() => openSeries(path, undefined, 1 + draw(40)));
        assertEquals(file, memory, JSON.stringify([...bytes]));
        if (memory === "refused") refused++;
      }
      assert(refused > 20 && refused < 200, `${refused} refused`);
    });
  });
}

Deno.test("loadSeries() gives the same by ranges as in memory, for training too", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [form, text] of Object.entries(FORMS)) {
      await Deno.writeTextFile(`${folder}/A_TRAIN.csv`, text);
      await Deno.writeTextFile(`${folder}/A_TEST.csv`, text);
      const memory = await loadSeries(folder);
      const ranges = await loadSeries(folder, { mostInMemory: 0, pieceBytes: 32 });
      for (const part of ["train", "test"] as const) {
        assert(ranges[part].values instanceof SeriesFile);
        assertEquals(
          await outcome(() => ranges[part]),
          await outcome(() => memory[part]),
          `${form}, ${part}`,
        );
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
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
