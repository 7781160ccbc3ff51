// channel_outer: the gradient of channel_matmul's weight.
//   y[i, k, d] = sum over columns c of p[c, i, d] q[c, k, d], or that added to it
// Items: four channels, whose columns are copied together some at a time: four times two sums stay in registers then.
// Arguments: p, q, y, d_model, outer, inner, whether to add, chunks, columns; then the panels of p and of q, as in
//   channel_matmul
// Scratch: the sums, COLUMNS columns of p and of q, and a tile, all of four channels

import { columnRows, columnStart } from "./channel_matmul";
import { threadScratch } from "./control";
import { arg } from "./record";
import { loadRow, packRows4, storeRow } from "./rows";
import { tileOf } from "./tile";

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

/** Rows i to i + 3 of p with rows k and k + 1 of q; rows past the last repeat it, and are not added. */
function addTile(sums: usize, p: usize, q: usize, i: u32, k: u32, outer: u32, inner: u32, count: u32): void {
  const tile = q + COLUMNS * inner * 16;
  const w0 = p + i * 16;
  const w1 = p + min(i + 1, outer - 1) * 16;
  const w2 = p + min(i + 2, outer - 1) * 16;
  const w3 = p + min(i + 3, outer - 1) * 16;
  const x = q + k * 16;
  const z = q + min(k + 1, inner - 1) * 16;
  tileOf(tile, w0, w1, w2, w3, outer * 16, x, z, inner * 16, count);
  const rows = min(4, outer - i);
  for (let row: u32 = 0; row < rows; row++) {
    const at = sums + ((i + row) * inner + k) * 16;
    add(at, tile + row * 16);
    if (k + 1 < inner) add(at + 16, tile + (4 + row) * 16);
  }
}

// @ts-ignore: decorator
@inline
function add(to: usize, from: usize): void {
  v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
}
