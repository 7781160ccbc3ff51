/** Floats of 16 bits, as their bits: `Float16Array` came to Node with version 24, and to Chromium with 135. */

/** What there is to do with them. */
export interface Float16 {
  /** What the bits stand for: exact. */
  readonly decode: (halves: Uint16Array) => Float32Array<ArrayBuffer>;
  /** The nearest floats of 16 bits, ties to even; NaN stays NaN, and what is too large becomes infinite. */
  readonly encode: (values: Float32Array) => Uint16Array<ArrayBuffer>;
  /** The nearest float of 16 bits, ties to even, as `Math.f16round` gives it: rounded once. */
  readonly round: (value: number) => number;
}

/** Makes them. It refers to nothing outside itself: workers are given its text. */
export function makeFloat16(): Float16 {
  /** One float of 32 bits, and its bits. */
  const FLOAT = new Float32Array(1);
  const FLOAT_BITS = new Uint32Array(FLOAT.buffer);

  /** One float of 64 bits, and its bits: the lower half comes first. */
  const DOUBLE = new Float64Array(1);
  const DOUBLE_BITS = new Uint32Array(DOUBLE.buffer);

  /** Half a step past the largest number, 65504: what is rounded to infinity. */
  const OVERFLOW = 65520;

  /** The same, as the bits of a float of 32 bits. */
  const OVERFLOW_BITS = 0x477ff000;

  /** 2^-14, the smallest number with all of its digits, as the bits of a float of 32 bits. */
  const NORMAL_BITS = 0x38800000;

  /** Exponents of 32 bits count from 127, those of 16 from 15: the difference, in place. */
  const REBIAS = (127 - 15) << 23;

  /** All 65,536 numbers by their bits; made when first needed. */
  let decoded: Float32Array | undefined;

  function decodeAll(halves: Uint16Array): Float32Array<ArrayBuffer> {
    decoded ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => decode(bits));
    const values = new Float32Array(halves.length);
    for (let i = 0; i < halves.length; i++) values[i] = decoded[halves[i] ?? 0] ?? NaN;
    return values;
  }

  function encodeAll(values: Float32Array): Uint16Array<ArrayBuffer> {
    const halves = new Uint16Array(values.length);
    for (let i = 0; i < values.length; i++) {
      FLOAT[0] = values[i] ?? 0;
      halves[i] = encode(FLOAT_BITS[0] ?? 0);
    }
    return halves;
  }

  function round(value: number): number {
    const size = Math.abs(value);
    if (Number.isNaN(value) || size >= OVERFLOW) return value * Infinity;
    DOUBLE[0] = size;
    const exponent = ((DOUBLE_BITS[1] ?? 0) >>> 20) - 1023;
    // The sum's last digit is worth one step of 16 bits, so that adding rounds to it.
    const shift = 2 ** 52 * 2 ** (Math.max(exponent, -14) - 10);
    const rounded = size + shift - shift;
    return value < 0 || Object.is(value, -0) ? -rounded : rounded;
  }

  function decode(bits: number): number {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const mantissa = bits & 0x3ff;
    if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
    return exponent === 0
      ? sign * mantissa * 2 ** -24
      : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
  }

  function encode(word: number): number {
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size >= OVERFLOW_BITS) return sign | 0x7c00;
    if (size >= NORMAL_BITS) {
      return sign | (size - REBIAS + 0xfff + ((size >>> 13) & 1)) >>> 13;
    }
    // From 0.5 to 1 the steps of 32 bits are 2^-24, those of the smallest numbers here.
    FLOAT_BITS[0] = size;
    FLOAT[0] = (FLOAT[0] ?? 0) + 0.5;
    return sign | ((FLOAT_BITS[0] ?? 0) - 0x3f000000);
  }

  return { decode: decodeAll, encode: encodeAll, round };
}

const OWN = makeFloat16();

/** See {@linkcode Float16.decode}. */
export const decodeFloat16: Float16["decode"] = OWN.decode;

/** See {@linkcode Float16.encode}. */
export const encodeFloat16: Float16["encode"] = OWN.encode;

/** See {@linkcode Float16.round}. */
export const roundToFloat16: Float16["round"] = OWN.round;
