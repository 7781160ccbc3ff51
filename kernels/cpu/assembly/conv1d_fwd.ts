// conv1d_fwd: depth-wise causal convolution and SiLU, from any window of past inputs.
//   y[b, t, d] = silu(bias[d] + sum over k of weight[d, k] x[b, t - (d_conv - 1) + k, d])
// Inputs before t = 0 come from conv_state (batch, d_inner, d_conv), the newest last; the new window is written there.
// Items: blocks of 16 channels of a sequence, a cache line of each row. The window and a tile of steps lie in scratch
// memory, back to back: rows of x are often a multiple of 4096 bytes apart, and only eight of such stay in a cache.
// Arguments: x, from row to row of x in elements, weight, bias or 0, conv_state, y, seqlen, d_inner, d_conv
// Scratch: 2 d_conv + TILE rows of 16 floats: weights, window, steps

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { silu4 } from "./math";
import { arg } from "./record";
import { madd } from "./simd";

const CHANNELS: u32 = 16;
const ROW_BYTES: usize = 64;

/** Steps of a tile, a multiple of 4. */
const TILE: u32 = 32;

export function conv1dFwd(rec: usize, begin: u32, end: u32): void {
  const ldX: usize = arg(rec, 1) * 4;
  const seqlen = arg(rec, 6);
  const d_inner = arg(rec, 7);
  const d_conv = arg(rec, 8);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const weights = threadScratch();
  const window = weights + d_conv * ROW_BYTES;
  const steps = window + d_conv * ROW_BYTES;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const conv_state = arg(rec, 4) + (b * d_inner + d) * d_conv * 4;
    byTap(arg(rec, 2) + d * d_conv * 4, weights, count, d_conv);
    byTap(conv_state, window, count, d_conv);
    let x = arg(rec, 0) + b * seqlen * ldX + d * 4;
    let y = arg(rec, 5) + (b * seqlen * d_inner + d) * 4;
    const bias: usize = arg(rec, 3) == 0 ? 0 : arg(rec, 3) + d * 4;
    for (let first: u32 = 0; first < seqlen; first += TILE) {
      const length = min(TILE, seqlen - first);
      for (let t: u32 = 0; t < length; t++, x += ldX) {
        for (let c: u32 = 0; c < count; c += 4) {
          v128.store(steps + t * ROW_BYTES + c * 4, loadLanes(x + c * 4, count - c));
        }
      }
      for (let t: u32 = 0; t < length; t += 4) {
        for (let c: u32 = 0; c < count; c += 4) {
          const at: usize = c * 4;
          const own = bias == 0 ? f32x4.splat(0) : loadLanes(bias + at, count - c);
          // The oldest input of step t is that one behind the window's oldest by t + 1.
          const inputs = window + (t + 1) * ROW_BYTES + at;
          fourSteps(inputs, weights + at, d_conv, own, y + t * d_inner * 4 + at, d_inner * 4, length - t, count - c);
        }
      }
      y += length * d_inner * 4;
      memory.copy(window, window + length * ROW_BYTES, d_conv * ROW_BYTES);
    }
    for (let c: u32 = 0; c < count; c++) {
      for (let k: u32 = 0; k < d_conv; k++) {
        store<f32>(conv_state + (c * d_conv + k) * 4, load<f32>(window + k * ROW_BYTES + c * 4));
      }
    }
  }
}

/** (count, d_conv) to (d_conv, 16); what is of no channel is zero. */
export function byTap(from: usize, to: usize, count: u32, d_conv: u32): void {
  for (let k: u32 = 0; k < d_conv; k++) {
    for (let c: u32 = 0; c < CHANNELS; c++) {
      const value: f32 = c < count ? load<f32>(from + (c * d_conv + k) * 4) : 0;
      store<f32>(to + k * ROW_BYTES + c * 4, value);
    }
  }
}

/** Four channels of four steps, of which there are `lanes` and `steps`. */
function fourSteps(
  inputs: usize, weights: usize, d_conv: u32, bias: v128, y: usize, ldY: usize, steps: u32, lanes: u32,
): void {
  let sum0 = bias;
  let sum1 = bias;
  let sum2 = bias;
  let sum3 = bias;
  const end = inputs + d_conv * ROW_BYTES;
  for (; inputs < end; inputs += ROW_BYTES, weights += ROW_BYTES) {
    const weight = v128.load(weights);
    sum0 = madd(weight, v128.load(inputs), sum0);
    sum1 = madd(weight, v128.load(inputs, 64), sum1);
    sum2 = madd(weight, v128.load(inputs, 128), sum2);
    sum3 = madd(weight, v128.load(inputs, 192), sum3);
  }
  storeLanes(y, lanes, silu4(sum0));
  if (steps > 1) storeLanes(y + ldY, lanes, silu4(sum1));
  if (steps > 2) storeLanes(y + 2 * ldY, lanes, silu4(sum2));
  if (steps > 3) storeLanes(y + 3 * ldY, lanes, silu4(sum3));
}
