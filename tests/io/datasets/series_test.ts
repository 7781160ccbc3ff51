import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadSeries, parseSeries } from "../../../src/io/datasets/series.ts";

const UCR = new URL("../../../../shared/data/ucr/", import.meta.url);

async function exists(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}

async function withFiles(
  files: Readonly<Record<string, string>>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("parseSeries() reads a class, then values, whatever separates them", () => {
  const expected = {
    ...{ name: "x", count: 3, length: 2 },
    values: Float32Array.of(0.5, -2, 3, 4, 5, 6),
    labels: Uint32Array.of(1, 2, 0),
    classNames: ["-1", "2", "10"],
  };
  const texts = [
    "  2.0000000e+000  5.0e-001 -2.0\n 10 3 4\n-1.0 5 6\n",
    "2,0.5,-2\r\n10, 3, 4\r\n\r\n-1,5,6",
    "2\t.5\t-2\n10\t3\t4\n-1\t5\t6\n\n",
    "2;0.5;-2\n10;3;4\n-1;5;6",
    "2;0,5;-2,0\n10;3;4\n-1;5;6",
    "2\t0,5\t-2\n10\t3\t4\n-1\t5\t6",
    "# of somebody\n@problemName x\n@univariate true\n@classLabel true 2 10 -1\n@data\n0.5,-2:2\n3,4:10\n5,6:-1\n",
    "% of somebody\n@relation x\n@attribute a numeric\n@attribute b real\n@attribute target {2, 10, -1}\n\n@data\n" +
    "0.5,-2,2\n% between\n3,4,10\n5,6,'-1'\n",
  ];
  for (const text of texts) assertEquals(parseSeries(text, "x"), expected);
  const columns = [
    "t0,label,t1\n0.5,2.0,-2\n3,10,4\n5,-1,6\n",
    ",t0,t1,kind\r\n0,0.5,-2,2\r\n1,3,4,10\r\n\r\n2,5,6,-1",
    '\n"Class";"the first";"t;1"\n2;0,5;-2,0\n"10";3;4\n-1;5;6',
    "t0\tt1\tTARGET\n.5\t-2\t2\n3\t4\t10\n5\t6\t-1",
  ];
  for (const text of columns) assertEquals(parseSeries(text, "x"), expected);
  const named = parseSeries("walk 1 2\nrun 3 4\nwalk 5 6", "x");
  assertEquals([named.classNames, [...named.labels]], [["run", "walk"], [1, 0, 1]]);
});

Deno.test("parseSeries() names the line that is wrong", () => {
  const cases: [string, string][] = [
    ["", "it holds no series"],
    ["\n \n", "it holds no series"],
    ["1 2 3\n2 4", "line 2 has 1 values after its class, expected 2 as in line 1"],
    ["1", "line 1 has 0 values after its class, expected at least 1"],
    [
      "1 2 3\n\n2 4 NaN",
      'value 2 of line 3 is "NaN", and so is what follows: the series is shorter',
    ],
    ["1 2 3\n\n2 NaN 4", 'value 1 of line 3 is "NaN", expected a finite number: fill such gaps'],
    ["1 2 0x10", 'value 2 of line 1 is "0x10", expected a finite number'],
    ["1,2,,3", "value 2 of line 1 is missing, expected a finite number"],
    ["1 2 1e999", 'value 2 of line 1 is "1e999"'],
    [",1,2", "line 1 has no class: it begins with a separator"],
    ["label t0 t1\n1 2 3", 'line 1 has names of columns ("label", "t0", "t1", ...)'],
    ["label,t0,class\n1,2,3", 'line 1 names 2 columns as of classes do ("label", "class")'],
    ["class,\n", "value 1 of line 1 is missing"],
    [",class\n0,1", "line 1 names no column of values"],
    ["label,t0,t1\n1,2,3\n1,2", "line 3 has 2 cells, and line 1 names 3"],
    ['label,t0,t1\n1,2,"3', "line 2: its quotes do not end within the line"],
    ["label,t0,t1\n1,x,3", 'value 1 of line 2 is "x"'],
    ["label,t0,t1\n1,,3", "value 1 of line 2 is missing"],
    ["label,t0,t1\n,1,2", "line 2 has no class"],
    ["label,t0,t1\n", "it holds no series"],
    [
      "t0,t1,t2\n1,2,3\n4,5,6\n7,8,9\n1,2,4",
      "its last column, taken for the class as none is named",
    ],
    [",0,1,2\n0,1,2,3", 'line 1 has names of columns ("", "0", "1", ...)'],
    ["0,1,5\n1,2,6\n2,1,5\n3,2,6", "its first column counts the 4 lines (0, 1, 2, ...)"],
    ["1 0,5 0,7", "line 1 has commas inside of words"],
    ["1;0,5\n2;0.5", "line 1 has decimal commas, and line 2 decimal points"],
    ["1;1.234,5", "line 1 has decimal commas, and line 1 decimal points"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => parseSeries(text, "x"), SyntaxError, `Cannot read "x": ${message}`);
  }
  assertThrows(
    () => parseSeries("1 2\n3 4", "x", ["1", "2"]),
    SyntaxError,
    'line 2 is of class "3", expected 1, 2',
  );
});

Deno.test("parseSeries() refuses what .ts and .arff have beyond series of one channel and a class", () => {
  const ts = (header: string, line = "1,2:a") => `@problemName x\n${header}\n@data\n${line}\n`;
  const arff = (attribute: string, line = "1,a") =>
    `@relation x\n@attribute v numeric\n${attribute}\n@data\n${line}\n`;
  const cases: [string, string][] = [
    [ts("@timeStamps true"), "times (@timeStamps true)"],
    [ts("@univariate false"), "several channels (@univariate false)"],
    [ts("@dimensions 3"), "several channels"],
    [ts("@targetLabel true"), "@targetLabel true"],
    [ts("@classLabel false"), "no classes (@classLabel false)"],
    [ts("@classLabel true a", "1,2:3,4:a"), "line 4 has 2 colons"],
    [ts("@classLabel true a", "1,?:a"), 'value 2 of line 4 is "?", and so is what follows'],
    [arff("@attribute c numeric"), "no list of classes"],
    [arff("@attribute c relational"), "several channels"],
    [arff("@attribute s string\n@attribute c {a}"), "is not numeric"],
    [arff("@attribute c {a}", "{0 1, 1 a}"), "line 5 is of the sparse form"],
    ["@problemName x\n1,2:a", "none of them is @data"],
  ];
  for (const [text, message] of cases) {
    assertThrows(() => parseSeries(text, "x"), SyntaxError, message);
  }
});

Deno.test("loadSeries() finds the file to test with", async () => {
  const files = { "A_TRAIN.txt": "1 1 2\n2 3 4\n", "A_TEST.txt": "2 5 6\n", "README.md": "A" };
  await withFiles(files, async (folder) => {
    for (const path of [folder, `${folder}/`, `${folder}/A_TRAIN.txt`]) {
      const { train, test } = await loadSeries(path);
      assertEquals([train.count, test.count, [...test.labels]], [2, 1, [1]]);
    }
  });
});

Deno.test("loadSeries() refuses data that cannot be trained on", async () => {
  const load = (files: Record<string, string>, name: string) => async () =>
    await withFiles(files, async (folder) => void await loadSeries(`${folder}${name}`));
  const train = "1 1 2\n2 3 4\n";
  await assertRejects(
    load({ "TRAIN.txt": "1 1 2\n1 3 4\n", "TEST.txt": "1 5 6\n" }, "/TRAIN.txt"),
    SyntaxError,
    'all 2 series are of class "1", expected two classes or more',
  );
  await assertRejects(
    load({ "TRAIN.txt": train, "TEST.txt": "1 5 6 7\n" }, "/TRAIN.txt"),
    SyntaxError,
    "its series have 3 values",
  );
  await assertRejects(
    load({ "TRAIN.txt": train, "TEST.txt": "3 5 6\n" }, "/TRAIN.txt"),
    SyntaxError,
    'line 1 is of class "3"',
  );
  await assertRejects(load({ "TRAIN.txt": train }, "/TRAIN.txt"), Deno.errors.NotFound);
  await assertRejects(
    load({ "a.txt": train }, "/a.txt"),
    RangeError,
    "its name has no TRAIN in it",
  );
  await assertRejects(load({ "a.txt": train }, ""), RangeError, "0 of its files have TRAIN");
  await assertRejects(
    load({ "A_TRAIN": train, "B_TRAIN": train }, ""),
    RangeError,
    "2 of its files have TRAIN",
  );
});

Deno.test({
  name: "loadSeries() loads ECG200 and GunPoint of the UCR archive",
  ignore: !await exists(UCR),
  async fn() {
    const sizes: [string, number, number, number][] = [
      ["ECG200", 100, 100, 96],
      ["Gun_Point", 50, 150, 150],
    ];
    for (const [name, trainCount, testCount, length] of sizes) {
      const { train, test } = await loadSeries(new URL(`${name}_TRAIN.txt`, UCR).pathname);
      assertEquals([train.count, test.count, train.length], [trainCount, testCount, length]);
      assertEquals(train.classNames.length, 2);
    }
  },
});
