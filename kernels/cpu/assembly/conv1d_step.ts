// A step of the causal conv1d on its window, which moves by one: conv_state (d_conv) of a channel, newest last.

import { madd, sumLanes, sumLanes4 } from "./simd";

/** Moves a channel's window on, and returns its product with the channel's weight. */
export function convStep(window: usize, weight: usize, d_conv: u32, newest: f32): f32 {
  let sums = f32x4.splat(0);
  let k: usize = 0;
  // What a store overwrites was loaded before.
  const last: usize = (d_conv - 1) * 4;
  for (; k + 16 <= last; k += 16) {
    const values = v128.load(window + k, 4);
    v128.store(window + k, values);
    sums = madd(values, v128.load(weight + k), sums);
  }
  let sum = sumLanes(sums);
  for (; k < last; k += 4) {
    const value = load<f32>(window + k, 4);
    store<f32>(window + k, value);
    sum += value * load<f32>(weight + k);
  }
  store<f32>(window + last, newest);
  return sum + newest * load<f32>(weight + last);
}

/** The same for four neighboring channels. */
export function convStep4(window: usize, weight: usize, d_conv: u32, newest: v128): v128 {
  if (d_conv == 4) {
    return sumLanes4(
      windowOf4(window, weight, i8x16.shuffle(v128.load(window), newest, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19)),
      windowOf4(window + 16, weight + 16, i8x16.shuffle(v128.load(window, 16), newest, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23)),
      windowOf4(window + 32, weight + 32, i8x16.shuffle(v128.load(window, 32), newest, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27)),
      windowOf4(window + 48, weight + 48, i8x16.shuffle(v128.load(window, 48), newest, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 28, 29, 30, 31)),
    );
  }
  const step: usize = d_conv * 4;
  let sums = f32x4.splat(convStep(window, weight, d_conv, f32x4.extract_lane(newest, 0)));
  sums = f32x4.replace_lane(sums, 1, convStep(window + step, weight + step, d_conv, f32x4.extract_lane(newest, 1)));
  sums = f32x4.replace_lane(sums, 2, convStep(window + 2 * step, weight + 2 * step, d_conv, f32x4.extract_lane(newest, 2)));
  return f32x4.replace_lane(sums, 3, convStep(window + 3 * step, weight + 3 * step, d_conv, f32x4.extract_lane(newest, 3)));
}

// @ts-ignore: decorator
@inline
function windowOf4(window: usize, weight: usize, values: v128): v128 {
  v128.store(window, values);
  return f32x4.mul(values, v128.load(weight));
}
