import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { ImageDataset } from "../../src/io/datasets/image_dataset.ts";
import { type Augmentation, imageCopier } from "../../src/train/augmentation.ts";
import { Random } from "../../src/checks/random.ts";

const STILL: Augmentation = { seed: 3, shift: 0, flip: false };

/** One picture of (side, side, channels), by its pixels. */
function picture(side: number, channels: number, images: Uint8Array): ImageDataset {
  return {
    ...{ name: "x", split: "train", count: 1, height: side, width: side, channels, images },
    ...{ labels: new Uint8Array(1), classNames: ["a"] },
  };
}

/** What an augmentation makes of a picture in many epochs. */
function* epochs(dataset: ImageDataset, augmentation: Augmentation, count = 300) {
  const copy = imageCopier(dataset, augmentation);
  for (let epoch = 0; epoch < count; epoch++) {
    const to = new Uint8Array(dataset.images.length);
    copy({ example: 0, epoch }, to);
    yield to;
  }
}

/** A grey picture with Gaussian spots, where (x, y) counts from the centre. */
function spots(side: number, places: readonly (readonly [number, number])[]): ImageDataset {
  const middle = (side - 1) / 2;
  const pixels = Uint8Array.from({ length: side * side }, (_, i) => {
    const x = i % side - middle, y = Math.floor(i / side) - middle;
    return Math.round(places.reduce(
      (sum, [a, b]) => sum + 200 * Math.exp(-((x - a) ** 2 + (y - b) ** 2) / 4),
      0,
    ));
  });
  return picture(side, 1, pixels);
}

/** The centre of brightness, from the picture's centre. */
function centroid(pixels: Uint8Array, side: number): [number, number] {
  let sum = 0, x = 0, y = 0;
  for (const [i, value] of pixels.entries()) {
    sum += value;
    x += value * (i % side - (side - 1) / 2);
    y += value * (Math.floor(i / side) - (side - 1) / 2);
  }
  return [x / sum, y / sum];
}

Deno.test("imageCopier() gives the same pixels for the same draw", () => {
  const dataset = picture(8, 3, Uint8Array.from(new Random(1).ids(192, 256)));
  const augmentation = {
    ...{ seed: 1, shift: 2, flip: true, distort: true, erase: 3 },
    warp: { turn: 20, stretch: 0.2, slant: 0.2 },
  };
  const [first, second] = [1, 2].map(() => [...epochs(dataset, augmentation, 50)]);
  assertEquals(first, second);
  assertEquals(new Set(first?.map((pixels) => pixels.join())).size, 50);
});

Deno.test("imageCopier() leaves the pixels alone where nothing may happen", () => {
  const dataset = picture(7, 3, Uint8Array.from(new Random(1).ids(147, 256)));
  const none = { turn: 0, stretch: 0, slant: 0 };
  for (const augmentation of [STILL, { ...STILL, warp: none }]) {
    for (const pixels of epochs(dataset, augmentation, 5)) assertEquals(pixels, dataset.images);
  }
});

Deno.test("imageCopier() turns by up to the given degrees, about the centre", () => {
  const dataset = spots(33, [[9, 0]]);
  const angles = [...epochs(dataset, { ...STILL, warp: { turn: 25, stretch: 0, slant: 0 } })].map(
    (pixels) => {
      const [x, y] = centroid(pixels, 33);
      assertAlmostEquals(Math.hypot(x, y), 9, 0.1);
      return Math.atan2(y, x) * 180 / Math.PI;
    },
  );
  assert(Math.max(...angles) < 25.5 && Math.min(...angles) > -25.5);
  assert(Math.max(...angles) > 23 && Math.min(...angles) < -23);
});

Deno.test("imageCopier() stretches width and height apart, each by up to the given share", () => {
  const ratios = (dataset: ImageDataset, axis: 0 | 1) =>
    [...epochs(dataset, { ...STILL, warp: { turn: 0, stretch: 0.2, slant: 0 } })].map((pixels) => {
      const place = centroid(pixels, 33);
      assertAlmostEquals(place[1 - axis] ?? NaN, 0, 0.05);
      return (place[axis] ?? NaN) / 8;
    });
  const across = ratios(spots(33, [[8, 0]]), 0), down = ratios(spots(33, [[0, 8]]), 1);
  for (const found of [across, down]) {
    assert(Math.min(...found) > 0.78 && Math.max(...found) < 1.22);
    assert(Math.min(...found) < 0.83 && Math.max(...found) > 1.17);
  }
  assert(across.some((ratio, epoch) => Math.abs(ratio - (down[epoch] ?? NaN)) > 0.1));
});

Deno.test("imageCopier() slants rows against each other by up to the given pixels a row", () => {
  const shifts = [
    ...epochs(spots(33, [[0, 8]]), { ...STILL, warp: { turn: 0, stretch: 0, slant: 0.25 } }),
  ].map((pixels) => {
    const [x, y] = centroid(pixels, 33);
    assertAlmostEquals(y, 8, 0.05);
    return x / 8;
  });
  assert(Math.max(...shifts) < 0.26 && Math.min(...shifts) > -0.26);
  assert(Math.max(...shifts) > 0.23 && Math.min(...shifts) < -0.23);
});

Deno.test("imageCopier() interpolates between pixels, and what comes from outside is 0", () => {
  const side = 6;
  const dataset = picture(side, 1, new Uint8Array(side * side).fill(200));
  for (
    const pixels of epochs(dataset, { ...STILL, warp: { turn: 45, stretch: 0, slant: 0 } }, 50)
  ) {
    assert(pixels.every((value) => value <= 200));
    assertEquals(pixels[2 * side + 2], 200);
  }
  const corners = [...epochs(dataset, { ...STILL, warp: { turn: 45, stretch: 0, slant: 0 } }, 50)]
    .map((pixels) => pixels[0] ?? NaN);
  assert(corners.includes(0) && corners.some((value) => value > 0 && value < 200));
});

Deno.test("imageCopier() distorts an image in at most one way", () => {
  // Of one colour alone, the change of colour tells which way it was; at the edge, the geometry shows.
  const side = 9;
  const [r, g, b] = [90, 150, 210];
  const dataset = picture(
    side,
    3,
    Uint8Array.from({ length: 3 * side * side }, (_, i) => [r, g, b][i % 3] ?? 0),
  );
  const grey = 0.299 * r + 0.587 * g + 0.114 * b;
  const mean = (r + g + b) / 3;
  const counts = new Map<string, number>();
  for (const pixels of epochs(dataset, { ...STILL, distort: true }, 1800)) {
    const middle = 3 * (side * 4 + 4);
    const [x = NaN, y = NaN, z = NaN] = pixels.subarray(middle, middle + 3);
    const about = (centre: number) => {
      const factor = (x - centre) / (r - centre);
      const expected = (value: number) =>
        Math.max(0, Math.min(255, centre + (value - centre) * factor));
      return Math.abs(expected(g) - y) < 2 && Math.abs(expected(b) - z) < 2;
    };
    const isFlat = pixels.every((value, i) => value === [x, y, z][i % 3]);
    const bits = [2, 4, 8, 16, 32].some((step) =>
      x === r - r % step && y === g - g % step && z === b - b % step
    );
    const inverted = [[r, x], [g, y], [b, z]].every(([before = 0, after]) =>
      after === before || after === 255 - before
    );
    const kind = x === r && y === g && z === b
      ? isFlat ? "nothing" : "geometry"
      : !isFlat
      ? "two at once"
      : bits
      ? "posterize"
      : inverted
      ? "solarize"
      : about(0)
      ? "brighten"
      : about(mean)
      ? "contrast"
      : about(grey)
      ? "saturate"
      : "unknown";
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  assertEquals([...counts.keys()].toSorted(), [
    ...["brighten", "contrast", "geometry", "nothing", "posterize", "saturate", "solarize"],
  ]);
  // Three of nine choices warp; weak changes of colour, and solarizing of dark pixels, leave all as it was.
  assertAlmostEquals((counts.get("geometry") ?? 0) / 1800, 3 / 9, 0.05);
  for (const kind of ["brighten", "contrast", "saturate", "posterize", "solarize"]) {
    assert((counts.get(kind) ?? 0) > 80, `${kind}: ${counts.get(kind)}`);
  }
});

Deno.test("imageCopier() erases a square that may reach over the edge", () => {
  const side = 8;
  const dataset = picture(side, 3, new Uint8Array(3 * side * side).fill(7));
  const places = new Set<string>();
  for (const pixels of epochs(dataset, { ...STILL, erase: 4 }, 600)) {
    const erased = Array.from({ length: side * side }, (_, i) => i).filter((i) => {
      const values = [...pixels.subarray(3 * i, 3 * i + 3)];
      assert(values.every((value) => value === values[0]));
      return values[0] === 0;
    });
    const xs = erased.map((i) => i % side), ys = erased.map((i) => Math.floor(i / side));
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    assertEquals(erased.length, (right - left + 1) * (bottom - top + 1));
    for (const [first, last] of [[left, right], [top, bottom]] as const) {
      const length = last - first + 1;
      assert(length === 4 || (length >= 2 && length < 4 && (first === 0 || last === side - 1)));
    }
    places.add(`${left} ${right} ${top} ${bottom}`);
  }
  assertEquals(places.size, 64);
});
