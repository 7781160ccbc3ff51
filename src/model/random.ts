/**
 * Random numbers by counter: number i of a stream is a function of (key, i) alone, so a position in the data is all that
 * resuming needs. Threefry-2x32 with 20 rounds (Salmon et al. 2011), as in kernels/sample_fwd.wgsl.
 */

/** Names one stream of random numbers: two 32-bit words. */
export type RandomKey = readonly [number, number];

const PARITY = 0x1bd11bda;
const ROTATIONS: readonly (readonly number[])[] = [[13, 15, 26, 6], [17, 29, 16, 24]];

/**
 * Two random 32-bit words as a function of key and counter.
 *
 * @param key Two 32-bit words.
 * @param counter Two 32-bit words.
 */
export function threefry2x32(key: RandomKey, counter: RandomKey): RandomKey {
  const schedule = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
  // Signed 32-bit integers throughout: the machine's own, so that nothing is boxed.
  let x0 = (counter[0] + key[0]) | 0, x1 = (counter[1] + key[1]) | 0;
  for (let group = 0; group < 5; group++) {
    for (const bits of ROTATIONS[group & 1] ?? []) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << bits) | (x1 >>> (32 - bits))) ^ x0;
    }
    x0 = (x0 + (schedule[(group + 1) % 3] ?? 0)) | 0;
    x1 = (x1 + (schedule[(group + 2) % 3] ?? 0) + group + 1) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

/**
 * The key of a named stream.
 *
 * @param seed A whole number from 0 to 2^53 - 1.
 * @param stream What the numbers are for: streams of different names are independent.
 * @throws {RangeError} If the seed is out of range.
 */
export function randomKey(seed: number, stream: string): RandomKey {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`Cannot seed with ${seed}: expected a whole number from 0 to 2^53 - 1`);
  }
  let key: RandomKey = [seed >>> 0, Math.floor(seed / 2 ** 32)];
  for (let i = 0; i < stream.length; i++) key = threefry2x32(key, [stream.charCodeAt(i), i]);
  return key;
}

/** The key of sub-stream `index` (below 2^53) of a stream, such as an epoch's. */
export function foldIn(key: RandomKey, index: number): RandomKey {
  // The high word's top bit keeps these apart from the words that `randomAt` draws.
  return threefry2x32(key, [index >>> 0, (Math.floor(index / 2 ** 32) | 0x80000000) >>> 0]);
}

/** Number `index` of a stream: uniform in [0, 1), a multiple of 2^-32. */
export function randomAt(key: RandomKey, index: number): number {
  return threefry2x32(key, [index >>> 0, Math.floor(index / 2 ** 32)])[0] / 2 ** 32;
}

/** `length` numbers, uniform in [low, high). */
export function uniform(
  key: RandomKey,
  length: number,
  low: number,
  high: number,
): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => low + (high - low) * randomAt(key, i));
}

/** `length` normal numbers of mean 0: Box-Muller, two of each counter. */
export function normal(key: RandomKey, length: number, std: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    const [a, b] = threefry2x32(key, [i, 0]);
    const radius = std * Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
    const angle = 2 * Math.PI * b / 2 ** 32;
    values[i] = radius * Math.cos(angle);
    if (i + 1 < length) values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** The numbers 0 to count - 1, each once, in random order (Fisher-Yates). */
export function permutation(key: RandomKey, count: number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(randomAt(key, i) * (i + 1));
    const swapped = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = swapped;
  }
  return order;
}

/** Rounds of the network: more than the four that make it look random to whom does not know the key. */
const FEISTEL_ROUNDS = 6;

/**
 * Number `index` of a random order of the numbers 0 to count - 1, which takes no memory however many there are: a Feistel
 * network of the least even number of bits, repeated while it leads outside of them (Black & Rogaway 2002).
 */
export function permutedAt(key: RandomKey, count: number, index: number): number {
  const half = Math.max(1, Math.ceil(Math.log2(count) / 2));
  const side = 2 ** half;
  let at = index;
  do {
    let left = Math.floor(at / side), right = at % side;
    for (let round = 0; round < FEISTEL_ROUNDS; round++) {
      const mixed = threefry2x32(key, [right, round])[0] % side;
      [left, right] = [right, (left + mixed) % side];
    }
    at = left * side + right;
  } while (at >= count);
  return at;
}
