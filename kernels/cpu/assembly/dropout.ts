// dropout: y[i] = x[i] scale where random bits i reach a threshold, else 0; y[i] += that with `adds`.
//   The bits are the first word of threefry(seed, (i, draw)), so the same call on a gradient has the same mask, and
//   nothing is stored for it. The draw is a tensor: it changes from step to step under a recorded list.
// Items: blocks of 256 elements.
// Arguments: x, draw (1), y, size, the two words of the seed, threshold, scale, adds

import { loadLanes, storeLanes } from "./lanes";
import { arg, argF32 } from "./record";
import { threefry4 } from "./threefry";

const BLOCK: u32 = 256;

export function dropout(rec: usize, begin: u32, end: u32): void {
  const x = arg(rec, 0);
  const y = arg(rec, 2);
  const draw = load<u32>(arg(rec, 1));
  const threshold = i32x4.splat(arg(rec, 6));
  const scale = f32x4.splat(argF32(rec, 7));
  const adds = arg(rec, 8) != 0;
  const last = min(end * BLOCK, arg(rec, 3));
  for (let i = begin * BLOCK; i < last; i += 4) {
    const at: usize = i * 4;
    const left = last - i;
    const random = threefry4(arg(rec, 4), arg(rec, 5), i, draw);
    const kept = v128.and(i32x4.ge_u(random, threshold), f32x4.mul(loadLanes(x + at, left), scale));
    storeLanes(y + at, left, adds ? f32x4.add(loadLanes(y + at, left), kept) : kept);
  }
}
