// conv1d_fwd: depth-wise causal convolution and SiLU, from any window of past inputs.
//   y[b, t, d] = silu(bias[d] + sum over k of weight[d, k] x[b, t - (d_conv - 1) + k, d])
// Inputs before t = 0 come from conv_state (batch, d_inner, d_conv), the newest last; the new window is written there.
// Items: blocks of 16 channels of a sequence, a cache line of each row. Four steps at a time, one sum each.
// Arguments: x, from row to row of x in elements, weight, bias or 0, conv_state, y, seqlen, d_inner, d_conv
// Scratch: 2 d_conv rows of 16 floats, the weights and the window by tap

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { silu4 } from "./math";
import { arg } from "./record";
import { madd } from "./simd";

const CHANNELS: u32 = 16;
/** From tap to tap in the scratch memory. */
const TAP_BYTES: usize = 64;

export function conv1dFwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 6);
  const d_inner = arg(rec, 7);
  const d_conv = arg(rec, 8);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const weights = threadScratch();
  const window = weights + d_conv * TAP_BYTES;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const state = arg(rec, 4) + (b * d_inner + d) * d_conv * 4;
    byTap(arg(rec, 2) + d * d_conv * 4, weights, count, d_conv);
    byTap(state, window, count, d_conv);
    const bias: usize = arg(rec, 3) == 0 ? 0 : arg(rec, 3) + d * 4;
    const x = arg(rec, 0) + (b * seqlen * arg(rec, 1) + d) * 4;
    const ldX: usize = arg(rec, 1) * 4;
    const y = arg(rec, 5) + (b * seqlen * d_inner + d) * 4;
    const early = min(seqlen, d_conv - 1);
    for (let t: u32 = 0; t < early; t++) {
      earlyStep(x, ldX, weights, window, bias, y + t * d_inner * 4, count, d_conv, t);
    }
    let t = early;
    for (; t + 4 <= seqlen; t += 4) {
      const first = x + (t + 1 - d_conv) * ldX;
      fourSteps(first, ldX, weights, bias, y + t * d_inner * 4, d_inner * 4, count, d_conv);
    }
    for (; t < seqlen; t++) {
      earlyStep(x, ldX, weights, window, bias, y + t * d_inner * 4, count, d_conv, t);
    }
    moveOn(state, x, ldX, count, d_conv, seqlen);
  }
}

/** (channels, d_conv) to (d_conv, 16); what is not there is zero. */
function byTap(from: usize, to: usize, count: u32, d_conv: u32): void {
  for (let k: u32 = 0; k < d_conv; k++) {
    for (let c: u32 = 0; c < CHANNELS; c++) {
      const value: f32 = c < count ? load<f32>(from + (c * d_conv + k) * 4) : 0;
      store<f32>(to + k * TAP_BYTES + c * 4, value);
    }
  }
}

/** A step whose window may begin before this call. */
function earlyStep(
  x: usize,
  ldX: usize,
  weights: usize,
  window: usize,
  bias: usize,
  y: usize,
  count: u32,
  d_conv: u32,
  t: u32,
): void {
  for (let c: u32 = 0; c < count; c += 4) {
    const left = count - c;
    let sum = bias == 0 ? f32x4.splat(0) : loadLanes(bias + c * 4, left);
    for (let k: u32 = 0; k < d_conv; k++) {
      const at = <i32>(t + k) - <i32>(d_conv - 1);
      const input = at < 0
        ? v128.load(window + (d_conv + at) * TAP_BYTES + c * 4)
        : loadLanes(x + at * ldX + c * 4, left);
      sum = madd(v128.load(weights + k * TAP_BYTES + c * 4), input, sum);
    }
    storeLanes(y + c * 4, left, silu4(sum));
  }
}

/** Four steps, the first input of the first of which is at x: each the same sum as one step has. */
function fourSteps(
  x: usize,
  ldX: usize,
  weights: usize,
  bias: usize,
  y: usize,
  ldY: usize,
  count: u32,
  d_conv: u32,
): void {
  for (let c: u32 = 0; c < count; c += 4) {
    const left = count - c;
    let sum0 = bias == 0 ? f32x4.splat(0) : loadLanes(bias + c * 4, left);
    let sum1 = sum0;
    let sum2 = sum0;
    let sum3 = sum0;
    let at = x + c * 4;
    for (let k: u32 = 0; k < d_conv; k++, at += ldX) {
      const weight = v128.load(weights + k * TAP_BYTES + c * 4);
      sum0 = madd(weight, loadLanes(at, left), sum0);
      sum1 = madd(weight, loadLanes(at + ldX, left), sum1);
      sum2 = madd(weight, loadLanes(at + 2 * ldX, left), sum2);
      sum3 = madd(weight, loadLanes(at + 3 * ldX, left), sum3);
    }
    const out = y + c * 4;
    storeLanes(out, left, silu4(sum0));
    storeLanes(out + ldY, left, silu4(sum1));
    storeLanes(out + 2 * ldY, left, silu4(sum2));
    storeLanes(out + 3 * ldY, left, silu4(sum3));
  }
}

/** In ascending order each slot is read before it is overwritten, for any seqlen. */
function moveOn(state: usize, x: usize, ldX: usize, count: u32, d_conv: u32, seqlen: u32): void {
  for (let c: u32 = 0; c < count; c++) {
    const own = state + c * d_conv * 4;
    for (let k: u32 = 0; k < d_conv; k++) {
      const at = <i32>(seqlen + k) - <i32>d_conv;
      const value = at < 0 ? load<f32>(own + (seqlen + k) * 4) : load<f32>(x + at * ldX + c * 4);
      store<f32>(own + k * 4, value);
    }
  }
}
