import { assertEquals } from "@std/assert";
import { decodeFloat16, encodeFloat16, roundToFloat16 } from "../../src/runtime/float16.ts";

const ALL = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);

/** Numbers whose neighbours are rounded differently: every one of 16 bits, and halfway to the next. */
function borders(): number[] {
  return [...new Float16Array(ALL.buffer)].flatMap((value) => {
    const next = new Float16Array(
      new Uint16Array([encodeFloat16(Float32Array.of(value))[0] ?? 0])
        .map((bits) => bits + 1).buffer,
    )[0] ?? NaN;
    return [value, (value + next) / 2];
  });
}

Deno.test("decodeFloat16() gives what Float16Array holds, for all 65,536", () => {
  assertEquals(decodeFloat16(ALL), new Float32Array(new Float16Array(ALL.buffer)));
});

Deno.test("encodeFloat16() rounds as Float16Array does, at every border and beside it", () => {
  const values = Float32Array.from(borders());
  const bits = new Int32Array(values.buffer);
  for (const step of [-1, 0, 1]) {
    const moved = new Float32Array(bits.map((word) => word + step).buffer)
      .filter((value) => !Number.isNaN(value));
    assertEquals(encodeFloat16(moved), new Uint16Array(new Float16Array(moved).buffer));
  }
  const nan = encodeFloat16(Float32Array.of(NaN));
  assertEquals(new Float16Array(nan.buffer), Float16Array.of(NaN));
});

Deno.test("roundToFloat16() rounds doubles once, as Math.f16round() does", () => {
  for (const value of [...borders(), 0, -0, NaN, Infinity, -Infinity, 1e-40, 5e-324, 65519.9999]) {
    for (const own of [value, value * (1 + 2 ** -52), value * (1 - 2 ** -53)]) {
      if (!Object.is(roundToFloat16(own), Math.f16round(own))) {
        throw new Error(`${own} becomes ${roundToFloat16(own)}, not ${Math.f16round(own)}`);
      }
    }
  }
});
