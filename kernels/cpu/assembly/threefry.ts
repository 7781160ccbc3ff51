// Threefry-2x32 with 20 rounds (Salmon et al. 2011): random bits as a function of key and counter.

/** By how much the rounds of even and of odd groups rotate: a byte each, the first lowest. */
const EVEN: u32 = 0x061a0f0d;
const ODD: u32 = 0x18101d11;

/** The first of two words. */
export function threefry(key0: u32, key1: u32, counter0: u32, counter1: u32): u32 {
  let x = counter0 + key0;
  let y = counter1 + key1;
  // What is added after a group; they take turns.
  let next = key1;
  let second: u32 = 0x1bd11bda ^ key0 ^ key1;
  let third = key0;
  for (let group: u32 = 0; group < 5; group++) {
    const rotations = group % 2 == 0 ? EVEN : ODD;
    for (let round: u32 = 0; round < 4; round++) {
      x += y;
      y = rotl<u32>(y, (rotations >> (8 * round)) & 255) ^ x;
    }
    x += next;
    y += second + group + 1;
    const last = next;
    next = second;
    second = third;
    third = last;
  }
  return x;
}

/** The first words of four counters: counter0 and the three that follow it. */
export function threefry4(key0: u32, key1: u32, counter0: u32, counter1: u32): v128 {
  let x = i32x4.add(i32x4.splat(counter0 + key0), i32x4(0, 1, 2, 3));
  let y = i32x4.splat(counter1 + key1);
  let next = key1;
  let second: u32 = 0x1bd11bda ^ key0 ^ key1;
  let third = key0;
  for (let group: u32 = 0; group < 5; group++) {
    const rotations = group % 2 == 0 ? EVEN : ODD;
    for (let round: u32 = 0; round < 4; round++) {
      x = i32x4.add(x, y);
      const left = (rotations >> (8 * round)) & 255;
      y = v128.xor(v128.or(i32x4.shl(y, left), i32x4.shr_u(y, 32 - left)), x);
    }
    x = i32x4.add(x, i32x4.splat(next));
    y = i32x4.add(y, i32x4.splat(second + group + 1));
    const last = next;
    next = second;
    second = third;
    third = last;
  }
  return x;
}
