import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { ImageDataset } from "../../src/io/datasets/image_dataset.ts";
import { imageToInput } from "../../src/io/images/image.ts";
import type { ImagePreprocessing } from "../../src/model/config/config.ts";
import { holdOut, imageExamples, pixelExamples } from "../../src/train/image_examples.ts";
import { Random } from "../../src/checks/random.ts";

/** Images of random bytes from 1 to 255: a 0 comes from outside. */
function images(count: number, side: number, channels: number): ImageDataset {
  const random = new Random(count);
  return {
    ...{ name: "x", split: "train", count, height: side, width: side, channels },
    images: Uint8Array.from(random.ids(count * side * side * channels, 255), (v) => v + 1),
    labels: Uint8Array.from(random.ids(count, 10)),
    classNames: [..."0123456789"],
  };
}

function layout(side: number, channels: number, step: ImagePreprocessing["step"]) {
  return {
    ...{ kind: "image", width: side, height: side, channels, step },
    ...(step === "patch" ? { patch_size: 2 } : {}),
    ...{ rescale: 1, mean: new Array(channels).fill(0), std: new Array(channels).fill(1) },
  } as ImagePreprocessing;
}

Deno.test("imageExamples() lays images out as inference does, with their labels", () => {
  const dataset = images(5, 4, 3);
  const steps = [["image", 1], ["row", 4], ["pixel", 16], ["patch", 4]] as const;
  for (const [step, seqlen] of steps) {
    const examples = imageExamples(dataset, layout(4, 3, step));
    assertEquals([examples.count, examples.seqlen], [5, seqlen]);
    const { inputs, targets } = examples.read([{ example: 3, epoch: 0 }, { example: 1, epoch: 9 }]);
    assertEquals([...targets], [dataset.labels[3], dataset.labels[1]]);
    const [a, b] = [3, 1].map((i) =>
      imageToInput(dataset.images.subarray(i * 48, i * 48 + 48), 4, 4, 3, layout(4, 3, step))
    );
    assertEquals([...inputs], [...a ?? [], ...b ?? []]);
  }
});

Deno.test("imageExamples() moves and mirrors training images, the same way each time", () => {
  const dataset = images(4, 6, 1);
  const augmentation = { shift: 1, flip: true, seed: 3 };
  const examples = imageExamples(dataset, layout(6, 1, "row"), augmentation);
  const seen = new Set<string>();
  let mirrored = 0;
  for (let epoch = 0; epoch < 400; epoch++) {
    const { inputs } = examples.read([{ example: 2, epoch }]);
    assertEquals(examples.read([{ example: 2, epoch }]).inputs, inputs);
    // The image is somewhere among its eighteen moves.
    const match = [false, true].flatMap((flip) =>
      [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => ({ flip, dx, dy })))
    ).filter(({ flip, dx, dy }) =>
      inputs.every((value, i) => {
        const y = Math.floor(i / 6) + dy, x = (flip ? 5 - i % 6 : i % 6) + dx;
        const inside = x >= 0 && x < 6 && y >= 0 && y < 6;
        return value === (inside ? dataset.images[2 * 36 + y * 6 + x] : 0);
      })
    );
    assertEquals(match.length, 1);
    seen.add(JSON.stringify(match[0]));
    if (match[0]?.flip) mirrored++;
  }
  assertEquals(seen.size, 18);
  assertAlmostEquals(mirrored / 400, 0.5, 0.1);
  const both = examples.read([{ example: 2, epoch: 7 }, { example: 2, epoch: 8 }]).inputs;
  assertEquals(both.subarray(0, 36), examples.read([{ example: 2, epoch: 7 }]).inputs);
});

Deno.test("pixelExamples() predicts each pixel from those before it", () => {
  const dataset = images(3, 2, 1);
  const pixels = [...dataset.images.subarray(4, 8)];
  for (const conditional of [true, false]) {
    const examples = pixelExamples(dataset, { conditional });
    const { inputs, targets } = examples.read([{ example: 1, epoch: 0 }, { example: 0, epoch: 0 }]);
    assertEquals([...targets.subarray(0, 4)], pixels);
    const first = 256 + (conditional ? dataset.labels[1] ?? NaN : 0);
    assertEquals([...inputs.subarray(0, 4)], [first, ...pixels.slice(0, 3)]);
    assertEquals([examples.seqlen, inputs.length, targets.length], [4, 8, 8]);
  }
});

Deno.test("pixelExamples() moves training images by whole pixels until an epoch", () => {
  const dataset = images(2, 3, 1);
  const augmentation = { seed: 1, shift: 1, flip: false, until: 40 };
  const examples = pixelExamples(dataset, { conditional: true, augmentation });
  const original = [...dataset.images.subarray(9, 18)];
  const moved = (dx: number, dy: number) =>
    original.map((_, i) => {
      const x = i % 3 + dx, y = Math.floor(i / 3) + dy;
      return x < 0 || x > 2 || y < 0 || y > 2 ? 0 : original[y * 3 + x] ?? 0;
    });
  const possible = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => moved(dx, dy).join()));
  const seen = new Set<string>();
  for (let epoch = 0; epoch < 50; epoch++) {
    // The second of a batch: the first leaves nothing behind.
    const { inputs, targets } = examples.read([{ example: 0, epoch }, { example: 1, epoch }]);
    const image = [...targets.subarray(9)];
    assertEquals([...inputs.subarray(9)], [256 + (dataset.labels[1] ?? NaN), ...image.slice(0, 8)]);
    if (epoch < 40) seen.add(image.join());
    else assertEquals(image, original);
  }
  assertEquals([...seen].sort(), possible.sort());
});

Deno.test("holdOut() cuts off the last images", () => {
  const dataset = images(5, 2, 3);
  const [first, last] = holdOut(dataset, 2);
  assertEquals([first.count, last.count], [3, 2]);
  assertEquals([...first.images, ...last.images], [...dataset.images]);
  assertEquals([...last.labels], [...dataset.labels.subarray(3)]);
  for (const heldOut of [0, 5, -1, 1.5]) {
    const error = assertThrows(() => holdOut(dataset, heldOut), RangeError);
    assert(error.message.startsWith(`Cannot hold out ${heldOut} of 5 images`));
  }
});
