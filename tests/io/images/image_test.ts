import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { type ImageLayout, imageToInput } from "../../../src/io/images/image.ts";

const RAW: ImageLayout = {
  width: 4,
  height: 2,
  channels: 1,
  step: "image",
  rescale: 1,
  mean: [0],
  std: [1],
};
const COUNT = Uint8Array.from({ length: 8 }, (_, i) => i);

Deno.test("imageToInput() scales, subtracts the mean and divides by the deviation, by channel", () => {
  const layout: ImageLayout = {
    ...RAW,
    width: 2,
    height: 1,
    channels: 3,
    rescale: 1 / 255,
    mean: [0.1, 0.2, 0.3],
    std: [0.5, 0.25, 2],
  };
  const input = imageToInput(Uint8Array.of(0, 51, 255, 10, 20, 30), 2, 1, 3, layout);
  const expected = [
    -0.2,
    0,
    0.35,
    (10 / 255 - 0.1) * 2,
    (20 / 255 - 0.2) * 4,
    (30 / 255 - 0.3) / 2,
  ];
  assertEquals(input.length, 6);
  for (const [i, value] of expected.entries()) assertAlmostEquals(input[i] ?? NaN, value, 1e-6);
});

Deno.test("imageToInput() orders pixels as the steps take them", () => {
  for (const step of ["image", "row", "pixel"] as const) {
    assertEquals([...imageToInput(COUNT, 4, 2, 1, { ...RAW, step })], [...COUNT]);
  }
  const patches: ImageLayout = { ...RAW, step: "patch", patch_size: 2 };
  assertEquals([...imageToInput(COUNT, 4, 2, 1, patches)], [0, 1, 4, 5, 2, 3, 6, 7]);
  const rgb: ImageLayout = {
    ...patches,
    width: 2,
    channels: 3,
    patch_size: 1,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
  const colors = Uint8Array.from({ length: 12 }, (_, i) => i);
  assertEquals([...imageToInput(colors, 2, 2, 3, rgb)], [...colors]);
});

Deno.test("imageToInput() takes several images back to back", () => {
  const two = Uint8Array.of(...COUNT, ...COUNT.map((v) => v + 100));
  const layout: ImageLayout = { ...RAW, step: "patch", patch_size: 2 };
  const one = imageToInput(COUNT, 4, 2, 1, layout);
  assertEquals([...imageToInput(two, 4, 2, 1, layout)], [...one, ...one.map((v) => v + 100)]);
  assertThrows(() => imageToInput(two.subarray(1), 4, 2, 1, RAW), RangeError, "each has 8 bytes");
});

Deno.test("imageToInput() names both sizes where they differ", () => {
  assertThrows(
    () => imageToInput(COUNT, 2, 4, 1, RAW),
    RangeError,
    "Cannot use an image of 2 x 4, grey: this checkpoint takes 4 x 2, grey",
  );
  assertThrows(() => imageToInput(COUNT, 4, 2, 3, RAW), RangeError, "4 x 2, RGB");
});

Deno.test("imageToInput() refuses a layout that it cannot follow", () => {
  assertThrows(
    () => imageToInput(COUNT, 4, 2, 1, { ...RAW, step: "patch", patch_size: 3 }),
    RangeError,
    "patch_size is 3",
  );
  assertThrows(() => imageToInput(COUNT, 4, 2, 1, { ...RAW, std: [0] }), RangeError, "std is 0");
  assertThrows(() => imageToInput(COUNT, 4, 2, 1, { ...RAW, mean: [] }), RangeError, "channel 0");
});
