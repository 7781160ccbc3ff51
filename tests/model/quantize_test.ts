import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  dequantizeRows,
  type QuantizedDType,
  quantizedRowSizes,
  quantizeRows,
} from "../../src/model/weights/quantize.ts";
import { Random } from "../../src/checks/random.ts";
import { dequantize } from "../../src/checks/reference/dequantize.ts";

const DTYPES: readonly QuantizedDType[] = ["int8", "int4"];

function bitsOf(dtype: QuantizedDType): 4 | 8 {
  return dtype === "int8" ? 8 : 4;
}

/** Every number of columns around a group, and two rows, so that a group never spans them. */
const COLUMNS = [1, 4, 5, 8, 31, 32, 33, 63, 64, 65, 101, 257];

for (const dtype of DTYPES) {
  Deno.test(`quantizeRows() is within half a step of ${dtype}, and a whole one where the codes end`, () => {
    const random = new Random(1);
    for (const columns of COLUMNS) {
      const values = random.normal(3 * columns);
      const { codes, scales } = quantizeRows(values, columns, dtype);
      const { groups } = quantizedRowSizes(columns, dtype);
      const steps = new Float16Array(scales.buffer);
      const got = dequantizeRows({ codes, scales }, columns, dtype);
      values.forEach((value, i) => {
        const row = Math.floor(i / columns);
        const step = steps[row * groups + Math.floor(i % columns / 32)] ?? NaN;
        // int4 has 8 codes on one side of zero and 7 on the other.
        const limit = dtype === "int4" && value / step > 7.5 ? 1 : 0.5;
        const error = Math.abs((got[i] ?? NaN) - value) / Math.abs(step);
        // A scale that f16 rounded down by 2^-11 leaves the farthest code short by that.
        assert(error <= limit + 0.07, `${columns} columns, ${value}: ${error} steps off`);
      });
    }
  });

  Deno.test(`dequantizeRows() gives what the ${dtype} format says, exactly`, () => {
    const random = new Random(2);
    for (const columns of COLUMNS) {
      const { codes, scales } = quantizeRows(random.normal(2 * columns), columns, dtype);
      const shape = { rows: 2, columns, bits: bitsOf(dtype) };
      const expected = dequantize(codes, new Float16Array(scales.buffer), shape);
      assertEquals([...dequantizeRows({ codes, scales }, columns, dtype)], [...expected]);
    }
  });

  Deno.test(`quantizeRows() to ${dtype} keeps zeros, and what it made itself`, () => {
    const zeros = quantizeRows(new Float32Array(66), 33, dtype);
    assertEquals([...dequantizeRows(zeros, 33, dtype)], new Array(66).fill(0));
    assertEquals(new Set(zeros.codes), new Set([dtype === "int8" ? 0 : 0x88]), "padding is zero");
    const once = dequantizeRows(quantizeRows(new Random(3).normal(320), 64, dtype), 64, dtype);
    assertEquals(dequantizeRows(quantizeRows(once, 64, dtype), 64, dtype), once);
  });

  Deno.test(`quantizeRows() to ${dtype} refuses what has no finite scale, and broken rows`, () => {
    for (const bad of [NaN, Infinity, -Infinity, 1e8]) {
      const values = new Float32Array(128).fill(1);
      values[97] = bad;
      assertThrows(
        () => quantizeRows(values, 64, dtype),
        RangeError,
        `Cannot quantize to ${dtype}: columns 32 to 63 of row 1 need a scale of`,
      );
    }
    assertThrows(() => quantizeRows(new Float32Array(65), 64, dtype), TypeError, "rows of 64");
  });
}

Deno.test("quantizeRows() writes the documented bytes", () => {
  const values = Float32Array.from({ length: 8 }, (_, i) => i - 4);
  // The farthest value is -4: its code is -8, and the scale 0.5.
  const int4 = quantizeRows(values, 8, "int4");
  assertEquals([...new Float16Array(int4.scales.buffer)], [0.5]);
  // Codes -8 -6 -4 -2, 0 2 4 6; moved by 8: 0 2 4 6, 8 10 12 14.
  assertEquals([...int4.codes], [0x80, 0xa2, 0xc4, 0xe6, ...new Array(12).fill(0x88)]);
  // Farthest from zero and positive: the scale is negative.
  const negative = quantizeRows(values.map((value) => -value), 8, "int4");
  assertEquals([...new Float16Array(negative.scales.buffer)], [-0.5]);
  assertEquals(negative.codes, int4.codes);
  const int8 = quantizeRows(values.map((value) => value * 127 / 4), 8, "int8");
  assertEquals([...new Float16Array(int8.scales.buffer)], [1]);
  assertEquals([...new Int8Array(int8.codes.buffer).subarray(0, 8)], [
    ...[-127, -95, -63, -32, 0, 32, 64, 95],
  ]);
});
