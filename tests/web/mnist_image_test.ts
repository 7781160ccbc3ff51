import { assertEquals, assertGreater } from "@std/assert";
import { defined } from "../defined.ts";
import { toMnistImage } from "../../src/web/mnist_image.ts";

const SIDE = 280;

/** Ink in a rectangle of points. */
function rectangle(left: number, top: number, width: number, height: number): Uint8ClampedArray {
  const ink = new Uint8ClampedArray(SIDE * SIDE);
  for (let y = top; y < top + height; y++) ink.fill(255, y * SIDE + left, y * SIDE + left + width);
  return ink;
}

/** Columns and rows of 28 that hold something. */
function extent(image: Uint8Array): { columns: number[]; rows: number[] } {
  const inked = [...image.keys()].filter((i) => image[i] !== 0);
  const ends = (values: number[]) => [Math.min(...values), Math.max(...values)];
  return {
    columns: ends(inked.map((i) => i % 28)),
    rows: ends(inked.map((i) => Math.floor(i / 28))),
  };
}

Deno.test("toMnistImage() makes any drawing 20 pixels high and puts it in the middle", () => {
  for (const [left, top, scale] of [[10, 5, 1], [200, 150, 1], [100, 20, 2]] as const) {
    const image = defined(toMnistImage(rectangle(left, top, 30 * scale, 100 * scale), SIDE));
    assertEquals(extent(image), { columns: [11, 16], rows: [4, 23] });
    assertGreater(image[14 * 28 + 14] ?? 0, 250);
  }
});

Deno.test("toMnistImage() gives nothing for an empty drawing", () => {
  assertEquals(toMnistImage(new Uint8ClampedArray(SIDE * SIDE), SIDE), undefined);
});
