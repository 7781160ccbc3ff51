// channel_outer: the gradient of channel_matmul's weight.
//   y[i, k, d] = sum over columns c of p[c, i, d] q[c, k, d], or that added to it
// Items: four channels, whose columns are copied together some at a time: four times two sums stay in registers then.
// Arguments: p, q, y, d_model, outer, inner, whether to add, chunks, columns; then the panels of p and of q, as in
//   channel_matmul
// Scratch: the sums, and COLUMNS columns of p and of q, all of four channels

import { columnRows, columnStart } from "./channel_matmul";
import { threadScratch } from "./control";
import { arg } from "./record";
import { loadRow, packRows4, storeRow } from "./rows";
import { madd } from "./simd";

/** Columns at a time. */
const COLUMNS: u32 = 16;

export function channelOuter(rec: usize, begin: u32, end: u32): void {
  const y: usize = arg(rec, 2);
  const d_model = arg(rec, 3);
  const outer = arg(rec, 4);
  const inner = arg(rec, 5);
  const columns = arg(rec, 8);
  const sums = threadScratch();
  const p = sums + outer * inner * 16;
  const q = p + COLUMNS * outer * 16;
  for (let item = begin; item < end; item++) {
    const d = item * 4;
    memory.fill(sums, 0, outer * inner * 16);
    for (let c: u32 = 0; c < columns; c += COLUMNS) {
      const count = min(COLUMNS, columns - c);
      for (let j: u32 = 0; j < count; j++) {
        pack(rec, 0, 9, c + j, d, p + j * outer * 16, outer);
        pack(rec, 1, 13, c + j, d, q + j * inner * 16, inner);
      }
      for (let i: u32 = 0; i < outer; i += 4) {
        for (let k: u32 = 0; k < inner; k += 2) addTile(sums, p, q, i, k, outer, inner, count);
      }
    }
    for (let row: u32 = 0; row < outer * inner; row++) {
      const before = arg(rec, 6) != 0 ? loadRow(y, row, d_model, d) : f32x4.splat(0);
      storeRow(y, row, d_model, d, f32x4.add(before, v128.load(sums + row * 16)));
    }
  }
}

/** @param panel The argument that its panel begins with. */
function pack(rec: usize, tensor: u32, panel: u32, c: u32, d: u32, to: usize, rows: u32): void {
  const d_model = arg(rec, 3);
  const chunks = arg(rec, 7);
  const from = arg(rec, tensor) + (columnStart(rec, panel, chunks, c) * d_model + d) * 4;
  packRows4(from, d_model * 4, d_model - d, to, rows, columnRows(rec, panel, chunks, c));
}

/** Rows i to i + 3 of p with rows k and k + 1 of q; rows past the last repeat it, and are not stored. */
function addTile(sums: usize, p: usize, q: usize, i: u32, k: u32, outer: u32, inner: u32, count: u32): void {
  const i1 = min(i + 1, outer - 1), i2 = min(i + 2, outer - 1), i3 = min(i + 3, outer - 1);
  const k1 = min(k + 1, inner - 1);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  for (let j: u32 = 0; j < count; j++) {
    const column = p + j * outer * 16;
    const other = q + j * inner * 16;
    const x = v128.load(other + k * 16);
    const z = v128.load(other + k1 * 16);
    const v0 = v128.load(column + i * 16);
    const v1 = v128.load(column + i1 * 16);
    const v2 = v128.load(column + i2 * 16);
    const v3 = v128.load(column + i3 * 16);
    a0 = madd(v0, x, a0);
    a1 = madd(v1, x, a1);
    a2 = madd(v2, x, a2);
    a3 = madd(v3, x, a3);
    b0 = madd(v0, z, b0);
    b1 = madd(v1, z, b1);
    b2 = madd(v2, z, b2);
    b3 = madd(v3, z, b3);
  }
  add(sums, i * inner + k, a0);
  if (i + 1 < outer) add(sums, i1 * inner + k, a1);
  if (i + 2 < outer) add(sums, i2 * inner + k, a2);
  if (i + 3 < outer) add(sums, i3 * inner + k, a3);
  if (k + 1 == inner) return;
  add(sums, i * inner + k1, b0);
  if (i + 1 < outer) add(sums, i1 * inner + k1, b1);
  if (i + 2 < outer) add(sums, i2 * inner + k1, b2);
  if (i + 3 < outer) add(sums, i3 * inner + k1, b3);
}

// @ts-ignore: decorator
@inline
function add(sums: usize, row: u32, value: v128): void {
  v128.store(sums + row * 16, f32x4.add(v128.load(sums + row * 16), value));
}
