import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { parseCifar10Images, parseCifar10Labels } from "../../../src/io/datasets/cifar10.ts";
import { DATASET_NAMES, loadDataset } from "../../../src/io/datasets/load_dataset.ts";
import { encodePng } from "../images/png_file.ts";

Deno.test("parseCifar10Images() takes a row of the PNG as an image", async () => {
  const pixels = Uint8Array.from({ length: 2 * 1024 * 3 }, (_, i) => i * 7 + (i >> 8));
  const images = await parseCifar10Images(encodePng(1024, 2, 2, pixels), "x.png", 2);
  assertEquals(images, pixels);
  // An opaque alpha channel, as an image tool may add, changes nothing.
  const withAlpha = Uint8Array.from(
    { length: 2 * 1024 * 4 },
    (_, i) => i % 4 === 3 ? 255 : pixels[(i >> 2) * 3 + i % 4] ?? 0,
  );
  assertEquals(await parseCifar10Images(encodePng(1024, 2, 6, withAlpha), "x.png", 2), pixels);
  await assertRejects(
    () => parseCifar10Images(encodePng(1024, 2, 2, pixels), "x.png", 3),
    RangeError,
    "the image is 1024 x 2",
  );
});

Deno.test("parseCifar10Labels() refuses all but labels", () => {
  const parse = (text: string) => parseCifar10Labels(new TextEncoder().encode(text), "x", 3);
  assertEquals(parse("[0, 9, 5]"), Uint8Array.of(0, 9, 5));
  const cases: [string, string][] = [
    ["[0, 9", "it is not JSON"],
    ["[0, 9]", "it is an array of 2, expected an array of 3"],
    ["{}", "it is object"],
    ["[0, 10, 1]", "label 1 is 10, expected 0 to 9"],
    ["[0, -1, 1]", "label 1 is -1"],
    ['[0, 1, "2"]', 'label 2 is "2"'],
  ];
  for (const [text, message] of cases) assertThrows(() => parse(text), SyntaxError, message);
});

Deno.test("loadDataset() refuses files that are not CIFAR-10's", async () => {
  assertEquals(DATASET_NAMES.includes("cifar10"), true);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/test_lables.json`, "[0]");
    await assertRejects(
      () => loadDataset("cifar10", "test", { path: folder }),
      SyntaxError,
      "it is an array of 1, expected an array of 10000",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
