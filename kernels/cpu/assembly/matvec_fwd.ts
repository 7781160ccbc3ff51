// matvec_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for few rows b: what one step spends its time on.
//   norm_weight   x is RMSNorm(x; norm_weight) first.
//   residual      y[b, o] += instead of =.
//   conv_weight   rows conv_start + d, d < d_inner, are the input of the causal conv1d, whose window is conv_state[b, d]:
//                 the window moves by one, and y becomes SiLU(conv). Other rows (z, dt) are written as they are.
// Items: panels of weight. A panel is read from memory once, for the first b; the others find it in the cache.
// Scratch: the prepared rows of x, and for quantized weights a row of floats.
// Arguments (0 where absent): x, weight, y, bias, dtype, d_in, out, batch, ldX, ldY, residual, norm_weight, eps,
//   conv_weight, conv_bias, conv_state, d_conv, conv_start, d_inner

import { opNumber, threadScratch } from "./control";
import { convStep, convStep4 } from "./conv1d_step";
import { loadLanes, storeLanes } from "./lanes";
import { silu, silu4 } from "./math";
import { blocksOf, PANEL_ROWS, panelBytes } from "./matrix";
import { dotPanel } from "./matvec_panel";
import { HEADER_BYTES, preparedBytes, prepareRow } from "./matvec_prepare";
import { arg, argF32 } from "./record";

/** The op whose x this thread has prepared. */
let preparedOp: u32 = 0;

export function matvecFwd(rec: usize, begin: u32, end: u32): void {
  const dtype = <i32>arg(rec, 4);
  const d_in = arg(rec, 5);
  const batch = arg(rec, 7);
  const x = threadScratch();
  const ldPrepared = preparedBytes(dtype, d_in);
  if (preparedOp != opNumber) {
    preparedOp = opNumber;
    for (let b: u32 = 0; b < batch; b++) {
      prepareRow(
        x + b * ldPrepared, arg(rec, 0) + b * arg(rec, 8) * 4, d_in, dtype, arg(rec, 11), argF32(rec, 12),
        x + batch * ldPrepared,
      );
    }
  }
  const bytes = panelBytes(dtype, d_in);
  const blocks = blocksOf(dtype, d_in);
  for (let item = begin; item < end; item++) {
    const panel = arg(rec, 1) + item * bytes;
    for (let b: u32 = 0; b < batch; b++) {
      const row = x + b * ldPrepared;
      const sums = dotPanel(panel, row + HEADER_BYTES, dtype, blocks);
      finish(rec, b, item * PANEL_ROWS, f32x4.mul(sums, v128.load32_splat(row)));
    }
  }
}

/** Makes y[b, o] and its three neighbors of the products with x. */
function finish(rec: usize, b: u32, o: u32, values: v128): void {
  const count = arg(rec, 6) - o;
  const bias = arg(rec, 3);
  if (bias != 0) values = f32x4.add(values, loadLanes(bias + (o << 2), count));
  if (arg(rec, 13) != 0) {
    const d = o - arg(rec, 17);
    const d_inner = arg(rec, 18);
    // Around the start d is below zero, which as an unsigned number is large.
    if (d < d_inner && d + 4 <= d_inner && count >= 4) values = conv4(rec, b, d, values);
    else if (d < d_inner || d + 3 < d_inner) values = convLanes(rec, b, d, min<u32>(count, 4), values);
  }
  const y = arg(rec, 2) + (b * arg(rec, 9) + o) * 4;
  if (arg(rec, 10) != 0) values = f32x4.add(values, loadLanes(y, count));
  storeLanes(y, count, values);
}

function conv4(rec: usize, b: u32, d: u32, newest: v128): v128 {
  const d_conv = arg(rec, 16);
  const window = arg(rec, 15) + (b * arg(rec, 18) + d) * d_conv * 4;
  let sums = convStep4(window, arg(rec, 13) + d * d_conv * 4, d_conv, newest);
  if (arg(rec, 14) != 0) sums = f32x4.add(sums, v128.load(arg(rec, 14) + (d << 2)));
  return silu4(sums);
}

/** The same where not all four are channels. */
function convLanes(rec: usize, b: u32, d: u32, count: u32, values: v128): v128 {
  values = f32x4.replace_lane(values, 0, convLane(rec, b, d, f32x4.extract_lane(values, 0)));
  if (count > 1) values = f32x4.replace_lane(values, 1, convLane(rec, b, d + 1, f32x4.extract_lane(values, 1)));
  if (count > 2) values = f32x4.replace_lane(values, 2, convLane(rec, b, d + 2, f32x4.extract_lane(values, 2)));
  if (count > 3) values = f32x4.replace_lane(values, 3, convLane(rec, b, d + 3, f32x4.extract_lane(values, 3)));
  return values;
}

function convLane(rec: usize, b: u32, d: u32, newest: f32): f32 {
  const d_inner = arg(rec, 18);
  if (d >= d_inner) return newest;
  const d_conv = arg(rec, 16);
  const window = arg(rec, 15) + (b * d_inner + d) * d_conv * 4;
  const sum = convStep(window, arg(rec, 13) + d * d_conv * 4, d_conv, newest);
  const bias = arg(rec, 14);
  return silu(bias == 0 ? sum : sum + load<f32>(bias + (d << 2)));
}
