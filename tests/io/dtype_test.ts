import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { type DType, dtypeSizeBytes, fromFloat32, isDType, toFloat32 } from "../../src/io/dtype.ts";

/** The float whose bits are these. */
function float(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0] ?? NaN;
}

function convert(elements: ArrayBufferView, dtype: DType): number[] {
  const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
  const aligned = toFloat32(bytes, dtype);
  const shifted = new Uint8Array(bytes.length + 1);
  shifted.set(bytes, 1);
  assertEquals(toFloat32(shifted.subarray(1), dtype), aligned, `${dtype} at an odd offset`);
  return [...aligned];
}

Deno.test("toFloat32() converts every F16 exactly", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = convert(bits, "F16");
  for (let i = 0; i < 65536; i++) {
    const exponent = i >> 10 & 31, mantissa = i & 1023, sign = i >> 15 ? -1 : 1;
    const expected = exponent === 31
      ? (mantissa ? NaN : sign * Infinity)
      : exponent === 0
      ? sign * mantissa * 2 ** -24
      : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
    assert(Object.is(values[i], expected), `F16 0x${i.toString(16)}: ${values[i]}, ${expected}`);
  }
});

Deno.test("toFloat32() converts every BF16 exactly", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  convert(bits, "BF16").forEach((value, i) => {
    assert(Object.is(value, float(i << 16 >>> 0)), `BF16 0x${i.toString(16)}`);
  });
});

Deno.test("toFloat32() converts the 8-bit floats, special values included", () => {
  const at = (dtype: DType, byte: number) => toFloat32(Uint8Array.of(byte), dtype)[0];
  assertEquals([0x00, 0x80, 0x01, 0x38, 0x7e, 0x7f, 0xff].map((b) => at("F8_E4M3", b)), [
    ...[0, -0, 2 ** -9, 1, 448, NaN, NaN],
  ]);
  assertEquals([0x01, 0x3c, 0x7b, 0x7c, 0xfc, 0x7d].map((b) => at("F8_E5M2", b)), [
    ...[2 ** -16, 1, 57344, Infinity, -Infinity, NaN],
  ]);
  assertEquals([0x80, 0x40, 0x7f, 0x01].map((b) => at("F8_E4M3FNUZ", b)), [NaN, 1, 240, 2 ** -10]);
  assertEquals([0x80, 0x40, 0x7f, 0x01].map((b) => at("F8_E5M2FNUZ", b)), [
    ...[NaN, 1, 57344, 2 ** -17],
  ]);
  assertEquals([0, 127, 254, 255].map((b) => at("F8_E8M0", b)), [2 ** -127, 1, 2 ** 127, NaN]);
});

Deno.test("toFloat32() converts integers, booleans and doubles", () => {
  assertEquals(convert(Uint8Array.of(0, 1, 2), "BOOL"), [0, 1, 1]);
  assertEquals(convert(Uint8Array.of(0, 255), "U8"), [0, 255]);
  assertEquals(convert(Int8Array.of(-128, 127), "I8"), [-128, 127]);
  assertEquals(convert(Int16Array.of(-32768, 7), "I16"), [-32768, 7]);
  assertEquals(convert(Uint16Array.of(65535), "U16"), [65535]);
  assertEquals(convert(Int32Array.of(-(2 ** 31), 16777217), "I32"), [-(2 ** 31), 16777216]);
  assertEquals(convert(Uint32Array.of(2 ** 32 - 1), "U32"), [2 ** 32]);
  assertEquals(convert(Float64Array.of(1e300, -1e-320, 0.1, NaN), "F64"), [
    ...[Infinity, -0, Math.fround(0.1), NaN],
  ]);
});

Deno.test("toFloat32() rounds 64-bit integers once", () => {
  // 2^62 + 2^38 lies halfway between two floats; one more decides it, and f64 would lose that one.
  const tie = 2n ** 62n + 2n ** 38n;
  const expected = [2 ** 62, 2 ** 62 + 2 ** 39, -(2 ** 62 + 2 ** 39), 2 ** 53, -1];
  assertEquals(
    convert(BigInt64Array.of(tie, tie + 1n, -tie - 1n, 2n ** 53n, -1n), "I64"),
    expected,
  );
  assertEquals(convert(BigUint64Array.of(2n ** 64n - 1n, tie + 1n), "U64"), [
    ...[2 ** 64, 2 ** 62 + 2 ** 39],
  ]);
});

Deno.test("toFloat32() views aligned F32, and refuses C64 and parts of elements", () => {
  const values = Float32Array.of(1, NaN, -0);
  const view = toFloat32(new Uint8Array(values.buffer), "F32");
  assertStrictEquals(view.buffer, values.buffer);
  assertThrows(() => toFloat32(new Uint8Array(8), "C64"), TypeError, "C64");
  assertThrows(() => toFloat32(new Uint8Array(5), "F32"), RangeError, "5 bytes");
});

Deno.test("fromFloat32() rounds F16 to nearest even", () => {
  const cases: [number, number][] = [
    ...[[1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [65519, 0x7bff]] as [number, number][],
    ...[[65520, 0x7c00], [2 ** -25, 0], [1.5 * 2 ** -24, 2], [-0, 0x8000]] as [number, number][],
  ];
  const bytes = fromFloat32(Float32Array.from(cases, ([value]) => value), "F16");
  assertEquals([...new Uint16Array(bytes.buffer)], cases.map(([, bits]) => bits));
});

Deno.test("fromFloat32() rounds BF16 to nearest even and keeps NaN", () => {
  const bits = [0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0x7f800001, 0xff800000, 0x00000001];
  const values = new Float32Array(Uint32Array.from(bits).buffer);
  const halves = [...new Uint16Array(fromFloat32(values, "BF16").buffer)];
  assertEquals(halves, [0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7fc0, 0xff80, 0]);
});

Deno.test("fromFloat32() then toFloat32() is exact for what each type can hold", () => {
  const values = Float32Array.of(0, 1, -2.5, 2 ** -24, 65504);
  for (const dtype of ["F32", "F16"] as const) {
    assertEquals(toFloat32(fromFloat32(values, dtype), dtype), values);
  }
  const part = values.subarray(1, 3);
  assertEquals(toFloat32(fromFloat32(part, "BF16"), "BF16"), Float32Array.of(1, -2.5));
});

Deno.test("isDType() knows the names and nothing inherited", () => {
  assert(isDType("BF16"));
  for (const name of ["toString", "__proto__", "f32", "F4", ""]) assert(!isDType(name), name);
  assertEquals(dtypeSizeBytes("F64"), 8);
});
