// channel_matmul: each channel's own matrix times the columns of a panel.
//   y[c, i, d] = sum over k of W[i, k, d] x[c, k, d], or that added to it
// Items: pairs of columns, for four channels after the other: their weights are copied together once for all columns.
// Arguments: x, weight, y, d_model, outer, inner, form, whether to add, chunks, columns; then of x and of y rows of a
//   sequence, rows from chunk to chunk, the first row, and the row where a sequence ends. Forms: kernels/channel_matmul.wgsl
// Scratch: weights and two columns of four channels, and a tile

import { threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";
import { packRows4 } from "./rows";
import { madd } from "./simd";
import { storeTile, tileOf } from "./tile";

export function channelMatmul(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 3);
  const outer = arg(rec, 4);
  const inner = arg(rec, 5);
  const form = arg(rec, 6);
  const columns = arg(rec, 9);
  const tiles = (columns + 1) / 2;
  const rows = form < 2 ? outer * inner : inner;
  const weights = threadScratch();
  const first = weights + rows * 16;
  const second = first + inner * 16;
  let packed: u32 = u32.MAX_VALUE;
  for (let item = begin; item < end; item++) {
    const d = item / tiles * 4;
    const c = item % tiles * 2;
    if (packed != d) packRows4(arg(rec, 1) + d * 4, d_model * 4, d_model - d, weights, rows, rows);
    packed = d;
    packColumn(rec, c, d, first, inner);
    if (c + 1 < columns) packColumn(rec, c + 1, d, second, inner);
    for (let i: u32 = 0; i < outer; i += 4) {
      rowsOf(rec, c, d, i, weights, first, second);
    }
  }
}

/** The row of a sequence where a column begins; the panel's arguments begin with `at`. */
// @ts-ignore: decorator
@inline
export function columnOffset(rec: usize, at: u32, chunks: u32, c: u32): u32 {
  return arg(rec, at + 2) + c % chunks * arg(rec, at + 1);
}

/** Rows that it has. */
// @ts-ignore: decorator
@inline
export function columnRows(rec: usize, at: u32, chunks: u32, c: u32): u32 {
  const offset = columnOffset(rec, at, chunks, c);
  const limit = arg(rec, at + 3);
  return limit > offset ? limit - offset : 0;
}

/** The row of the tensor where it begins. */
// @ts-ignore: decorator
@inline
export function columnStart(rec: usize, at: u32, chunks: u32, c: u32): u32 {
  return c / chunks * arg(rec, at) + columnOffset(rec, at, chunks, c);
}

function packColumn(rec: usize, c: u32, d: u32, to: usize, inner: u32): void {
  const d_model = arg(rec, 3);
  const chunks = arg(rec, 8);
  const from = arg(rec, 0) + (columnStart(rec, 10, chunks, c) * d_model + d) * 4;
  packRows4(from, d_model * 4, d_model - d, to, inner, columnRows(rec, 10, chunks, c));
}

/** Four rows of two columns. */
function rowsOf(rec: usize, c: u32, d: u32, i: u32, weights: usize, first: usize, second: usize): void {
  const outer = arg(rec, 4);
  const inner = arg(rec, 5);
  const form = arg(rec, 6);
  const tile = second + inner * 16;
  if (form < 2) {
    // Rows past the last repeat it: nothing of them is stored.
    const row: usize = form == 0 ? inner * 16 : 16;
    const w0 = weights + i * row;
    const w1 = weights + min(i + 1, outer - 1) * row;
    const w2 = weights + min(i + 2, outer - 1) * row;
    const w3 = weights + min(i + 3, outer - 1) * row;
    tileOf(tile, w0, w1, w2, w3, form == 0 ? 16 : outer * 16, first, second, 16, inner);
  } else {
    laggedTile(tile, form == 2, i, inner, weights, first, second);
  }
  store4(rec, c, d, i, tile);
  if (c + 1 < arg(rec, 9)) store4(rec, c + 1, d, i, tile + 4 * 16);
}

/** The same where weights depend on the lag of a row and a product alone. */
function laggedTile(
  to: usize, isConvolution: bool, i: u32, inner: u32, weights: usize, first: usize, second: usize,
): void {
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  // The other products are zeros.
  const from: i32 = isConvolution ? 0 : i;
  const end: i32 = isConvolution ? min(inner, i + 4) : inner;
  const sign: i32 = isConvolution ? 1 : -1;
  for (let k = from; k < end; k++) {
    const x = v128.load(first + k * 16);
    const z = v128.load(second + k * 16);
    const lag = sign * (<i32>i - k);
    const v0 = lagged(weights, lag, inner);
    const v1 = lagged(weights, lag + sign, inner);
    const v2 = lagged(weights, lag + 2 * sign, inner);
    const v3 = lagged(weights, lag + 3 * sign, inner);
    a0 = madd(v0, x, a0);
    a1 = madd(v1, x, a1);
    a2 = madd(v2, x, a2);
    a3 = madd(v3, x, a3);
    b0 = madd(v0, z, b0);
    b1 = madd(v1, z, b1);
    b2 = madd(v2, z, b2);
    b3 = madd(v3, z, b3);
  }
  storeTile(to, a0, a1, a2, a3, b0, b1, b2, b3);
}

// @ts-ignore: decorator
@inline
function lagged(weights: usize, lag: i32, inner: u32): v128 {
  return <u32>lag < inner ? v128.load(weights + lag * 16) : f32x4.splat(0);
}

/** Four rows of a column, from a tile. */
function store4(rec: usize, c: u32, d: u32, i: u32, from: usize): void {
  const chunks = arg(rec, 8);
  const end = min(i + 4, min(arg(rec, 4), columnRows(rec, 14, chunks, c)));
  const row = columnStart(rec, 14, chunks, c);
  for (let at = i; at < end; at++, from += 16) storeOne(rec, row + at, d, v128.load(from));
}

function storeOne(rec: usize, row: u32, d: u32, values: v128): void {
  const d_model = arg(rec, 3);
  const at: usize = arg(rec, 2) + (row * d_model + d) * 4;
  const before = arg(rec, 7) != 0 ? loadLanes(at, d_model - d) : f32x4.splat(0);
  storeLanes(at, d_model - d, f32x4.add(before, values));
}
