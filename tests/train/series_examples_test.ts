import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { parseSeries } from "../../src/io/datasets/series.ts";
import { seriesExamples, standardization } from "../../src/train/series_examples.ts";

Deno.test("seriesExamples() standardizes the values and keeps the classes", () => {
  const dataset = parseSeries("1 10 20\n2 30 40\n1 50 60", "x");
  const preprocessing = standardization(dataset);
  assertEquals(preprocessing.mean, [35]);
  assertAlmostEquals(preprocessing.std[0] ?? NaN, 17.078251, 1e-5);
  const examples = seriesExamples(dataset, preprocessing);
  const { inputs, targets } = examples.read([{ example: 2, epoch: 0 }, { example: 1, epoch: 5 }]);
  assertEquals([examples.count, examples.seqlen, ...targets], [3, 2, 0, 1]);
  const expected = [50, 60, 30, 40].map((v) => (v - 35) / 17.078251);
  inputs.forEach((value, i) => assertAlmostEquals(value, expected[i] ?? NaN, 1e-6));
});

Deno.test("standardization() refuses values that are all equal", () => {
  const dataset = parseSeries("1 3 3\n2 3 3", "flat.txt");
  assertThrows(
    () => standardization(dataset),
    RangeError,
    'Cannot train on "flat.txt": the standard deviation of its values is 0',
  );
});
