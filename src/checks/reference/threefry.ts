/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
 * a keyed bijection of a 64-bit counter. Random bits number i of a stream are a function of (key,
 * i) alone.
 *
 * @returns two 32-bit words
 */
export function threefry2x32(
  key: readonly [number, number],
  counter: readonly [number, number],
): [number, number] {
  const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;
  const [k0, k1] = key;
  const schedule = [k0, k1, 0x1bd11bda ^ k0 ^ k1] as const;
  let [x0, x1] = [(counter[0] + k0) >>> 0, (counter[1] + k1) >>> 0];
  for (let group = 0; group < 5; group++) {
    for (const rotation of ROTATIONS[group % 2 === 0 ? 0 : 1]) {
      x0 = (x0 + x1) >>> 0;
      x1 = (((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0) >>> 0;
    }
    const [inject0 = 0, inject1 = 0] = [schedule[(group + 1) % 3], schedule[(group + 2) % 3]];
    x0 = (x0 + inject0) >>> 0;
    x1 = (x1 + inject1 + group + 1) >>> 0;
  }
  return [x0, x1];
}
