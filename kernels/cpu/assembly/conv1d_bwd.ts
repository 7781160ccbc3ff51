// conv1d_bwd: gradients of conv1d_fwd, whose sums before SiLU are computed again.
//   With the window before the inputs, line[0 .. d_conv + seqlen), and s[t] = bias + sum_k weight[k] line[t + 1 + k]:
//   g[t] = grad_y[t] silu'(s[t])      grad_weight[k] = sum_t g[t] line[t + 1 + k]      grad_bias = sum_t g[t]
//   grad_line[i] = sum_k weight[k] g[i - 1 - k] + grad_final[i - seqlen], of which the first d_conv are the window's
// Items: blocks of 16 channels of a sequence. Its whole line and g lie in scratch memory, 16 channels a row. Gradients of
// weight and bias are left as partials of the sequence.
// Arguments (0 where absent): x, from row to row of x in elements, weight, bias, conv_state, grad_y, grad_final, grad_x,
//   from row to row of grad_x, grad_conv_state, partials (batch, d_inner, d_conv), partials of bias (batch, d_inner),
//   seqlen, d_inner, d_conv
// Scratch: rows of 16 floats: d_conv weights, the line, d_conv + seqlen + d_conv of g, and SPARE behind both

import { threadScratch } from "./control";
import { byTap } from "./conv1d_fwd";
import { loadLanes, storeLanes } from "./lanes";
import { siluDerivative4 } from "./math";
import { arg } from "./record";
import { madd } from "./simd";

const CHANNELS: u32 = 16;
const ROW_BYTES: usize = 64;

/** Rows and taps go by fours, and the last of them may be past the end. */
const SPARE: u32 = 4;

export function conv1dBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 12);
  const d_inner = arg(rec, 13);
  const d_conv = arg(rec, 14);
  const blocks = (d_inner + CHANNELS - 1) / CHANNELS;
  const weights = threadScratch();
  const line = weights + d_conv * ROW_BYTES;
  const padded = line + (d_conv + seqlen + SPARE) * ROW_BYTES;
  const g = padded + d_conv * ROW_BYTES;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const d = item % blocks * CHANNELS;
    const count = min(CHANNELS, d_inner - d);
    const channel: usize = b * d_inner + d;
    byTap(arg(rec, 2) + d * d_conv * 4, weights, count, d_conv);
    byTap(arg(rec, 4) + channel * d_conv * 4, line, count, d_conv);
    copyIn(arg(rec, 0) + (b * seqlen * arg(rec, 1) + d) * 4, arg(rec, 1) * 4, line + d_conv * ROW_BYTES, seqlen, count);
    const bias: usize = arg(rec, 3) == 0 ? 0 : arg(rec, 3) + d * 4;
    sumsOfTaps(line + ROW_BYTES, weights, d_conv, bias, count, g, seqlen);
    throughSilu(g, arg(rec, 5) + (b * seqlen * d_inner + d) * 4, d_inner * 4, seqlen, count);
    gradientsOfTaps(g, line + ROW_BYTES, seqlen, d_conv, arg(rec, 10) + channel * d_conv * 4, count);
    if (bias != 0) gradientOfBias(g, seqlen, arg(rec, 11) + channel * 4, count);
    // Backwards the taps are the other way round, and zeros lie before and behind g. The line is done with.
    memory.fill(padded, 0, d_conv * ROW_BYTES);
    memory.fill(g + seqlen * ROW_BYTES, 0, (d_conv + SPARE) * ROW_BYTES);
    turnRound(weights, d_conv);
    sumsOfTaps(padded, weights, d_conv, 0, count, line, d_conv + seqlen);
    const grad_x = arg(rec, 7) + (b * seqlen * arg(rec, 8) + d) * 4;
    if (arg(rec, 6) != 0) addTaps(arg(rec, 6) + channel * d_conv * 4, line + seqlen * ROW_BYTES, count, d_conv);
    copyOut(line + d_conv * ROW_BYTES, grad_x, arg(rec, 8) * 4, seqlen, count);
    fromTaps(line, arg(rec, 9) + channel * d_conv * 4, count, d_conv);
  }
}

function copyIn(x: usize, ld: usize, to: usize, rows: u32, count: u32): void {
  for (let row: u32 = 0; row < rows; row++, x += ld, to += ROW_BYTES) {
    for (let c: u32 = 0; c < count; c += 4) v128.store(to + c * 4, loadLanes(x + c * 4, count - c));
  }
}

function copyOut(from: usize, y: usize, ld: usize, rows: u32, count: u32): void {
  for (let row: u32 = 0; row < rows; row++, y += ld, from += ROW_BYTES) {
    for (let c: u32 = 0; c < count; c += 4) storeLanes(y + c * 4, count - c, v128.load(from + c * 4));
  }
}

/** to[i] = bias + sum_k weights[k] from[i + k], for `rows` rows in whole fours. */
function sumsOfTaps(from: usize, weights: usize, d_conv: u32, bias: usize, count: u32, to: usize, rows: u32): void {
  for (let row: u32 = 0; row < rows; row += 4) {
    for (let c: u32 = 0; c < count; c += 4) {
      const at: usize = row * ROW_BYTES + c * 4;
      const own = bias == 0 ? f32x4.splat(0) : loadLanes(bias + c * 4, count - c);
      fourSums(from + at, weights + c * 4, d_conv, own, to + at);
    }
  }
}

function fourSums(inputs: usize, weights: usize, d_conv: u32, start: v128, to: usize): void {
  let sum0 = start;
  let sum1 = start;
  let sum2 = start;
  let sum3 = start;
  const end = inputs + d_conv * ROW_BYTES;
  for (; inputs < end; inputs += ROW_BYTES, weights += ROW_BYTES) {
    const weight = v128.load(weights);
    sum0 = madd(weight, v128.load(inputs), sum0);
    sum1 = madd(weight, v128.load(inputs, 64), sum1);
    sum2 = madd(weight, v128.load(inputs, 128), sum2);
    sum3 = madd(weight, v128.load(inputs, 192), sum3);
  }
  v128.store(to, sum0);
  v128.store(to, sum1, 64);
  v128.store(to, sum2, 128);
  v128.store(to, sum3, 192);
}

/** g = grad_y silu'(g) */
function throughSilu(g: usize, grad_y: usize, ld: usize, rows: u32, count: u32): void {
  for (let row: u32 = 0; row < rows; row++, grad_y += ld, g += ROW_BYTES) {
    for (let c: u32 = 0; c < count; c += 4) {
      const slope = siluDerivative4(v128.load(g + c * 4));
      v128.store(g + c * 4, f32x4.mul(loadLanes(grad_y + c * 4, count - c), slope));
    }
  }
}

/** to (count, d_conv) = sum_t g[t] inputs[t + k], four taps at a time. */
function gradientsOfTaps(g: usize, inputs: usize, seqlen: u32, d_conv: u32, to: usize, count: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    for (let k: u32 = 0; k < d_conv; k += 4) {
      let sum0 = f32x4.splat(0);
      let sum1 = sum0;
      let sum2 = sum0;
      let sum3 = sum0;
      let input = inputs + k * ROW_BYTES + c * 4;
      const end = g + seqlen * ROW_BYTES;
      for (let own = g + c * 4; own < end; own += ROW_BYTES, input += ROW_BYTES) {
        const grad = v128.load(own);
        sum0 = madd(grad, v128.load(input), sum0);
        sum1 = madd(grad, v128.load(input, 64), sum1);
        sum2 = madd(grad, v128.load(input, 128), sum2);
        sum3 = madd(grad, v128.load(input, 192), sum3);
      }
      storeTap(sum0, to, c, count, k, d_conv);
      if (k + 1 < d_conv) storeTap(sum1, to, c, count, k + 1, d_conv);
      if (k + 2 < d_conv) storeTap(sum2, to, c, count, k + 2, d_conv);
      if (k + 3 < d_conv) storeTap(sum3, to, c, count, k + 3, d_conv);
    }
  }
}

/** Tap k of channels c to c + 3, of which there are `count` in all. */
function storeTap(values: v128, to: usize, c: u32, count: u32, k: u32, d_conv: u32): void {
  const at = to + (c * d_conv + k) * 4;
  const step: usize = d_conv * 4;
  v128.store32_lane(at, values, 0);
  if (c + 1 < count) v128.store32_lane(at + step, values, 1);
  if (c + 2 < count) v128.store32_lane(at + 2 * step, values, 2);
  if (c + 3 < count) v128.store32_lane(at + 3 * step, values, 3);
}

function gradientOfBias(g: usize, seqlen: u32, to: usize, count: u32): void {
  for (let c: u32 = 0; c < count; c += 4) {
    let sum = f32x4.splat(0);
    for (let t: u32 = 0; t < seqlen; t++) sum = f32x4.add(sum, v128.load(g + t * ROW_BYTES + c * 4));
    storeLanes(to + c * 4, count - c, sum);
  }
}

/** The last row first. */
function turnRound(rows: usize, count: u32): void {
  let last = rows + (count - 1) * ROW_BYTES;
  for (; rows < last; rows += ROW_BYTES, last -= ROW_BYTES) {
    for (let at: usize = 0; at < ROW_BYTES; at += 16) {
      const first = v128.load(rows + at);
      v128.store(rows + at, v128.load(last + at));
      v128.store(last + at, first);
    }
  }
}

/** rows (d_conv, 16) += from (count, d_conv) */
function addTaps(from: usize, rows: usize, count: u32, d_conv: u32): void {
  for (let c: u32 = 0; c < count; c++) {
    for (let k: u32 = 0; k < d_conv; k++) {
      const to = rows + k * ROW_BYTES + c * 4;
      store<f32>(to, load<f32>(to) + load<f32>(from + (c * d_conv + k) * 4));
    }
  }
}

/** rows (d_conv, 16) to (count, d_conv) */
function fromTaps(rows: usize, to: usize, count: u32, d_conv: u32): void {
  for (let c: u32 = 0; c < count; c++) {
    for (let k: u32 = 0; k < d_conv; k++) {
      store<f32>(to + (c * d_conv + k) * 4, load<f32>(rows + k * ROW_BYTES + c * 4));
    }
  }
}
