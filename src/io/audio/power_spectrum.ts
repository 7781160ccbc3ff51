/** The power of a signal's frequencies: a fast Fourier transform (Cooley & Tukey 1965), radix 2, in float64. */

/** What depends on the length alone. */
interface Tables {
  /** Cosines of 2 pi k / length, for k below half of it. */
  readonly cos: Float64Array;
  /** Sines of the same. */
  readonly sin: Float64Array;
  /** Each index with its bits in reverse order. */
  readonly reversed: Uint32Array;
}

const tables = new Map<number, Tables>();

function tablesOf(length: number): Tables {
  let found = tables.get(length);
  if (found === undefined) {
    const bits = Math.log2(length);
    const angles = Float64Array.from({ length: length / 2 }, (_, k) => 2 * Math.PI * k / length);
    const reversed = Uint32Array.from({ length }, (_, index) => {
      let mirrored = 0;
      for (let bit = 0; bit < bits; bit++) mirrored |= (index >> bit & 1) << (bits - 1 - bit);
      return mirrored;
    });
    found = { cos: angles.map(Math.cos), sin: angles.map(Math.sin), reversed };
    tables.set(length, found);
  }
  return found;
}

/**
 * Squares of the magnitudes of a real signal's discrete Fourier transform.
 *
 * @param signal Its length is a power of two.
 * @returns Those of the frequencies 0 to half of the length, both included.
 * @throws {RangeError} If the length is not a power of two.
 */
export function powerSpectrum(signal: Float64Array): Float64Array {
  const { length } = signal;
  if (length < 1 || !Number.isInteger(Math.log2(length))) {
    throw new RangeError(`Cannot transform ${length} samples: expected a power of two`);
  }
  const re = new Float64Array(length), im = new Float64Array(length);
  const { cos, sin, reversed } = tablesOf(length);
  for (let i = 0; i < length; i++) re[reversed[i] ?? 0] = signal[i] ?? 0;
  for (let half = 1; half < length; half *= 2) {
    const stride = length / (2 * half);
    for (let start = 0; start < length; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const a = start + k, b = a + half;
        const c = cos[k * stride] ?? 0, s = sin[k * stride] ?? 0;
        const x = re[b] ?? 0, y = im[b] ?? 0;
        const u = x * c + y * s, v = y * c - x * s;
        re[b] = (re[a] ?? 0) - u;
        im[b] = (im[a] ?? 0) - v;
        re[a] = (re[a] ?? 0) + u;
        im[a] = (im[a] ?? 0) + v;
      }
    }
  }
  return Float64Array.from(
    { length: length / 2 + 1 },
    (_, k) => (re[k] ?? 0) ** 2 + (im[k] ?? 0) ** 2,
  );
}
