// channel_correlate: the gradient of a convolution's kernel within chunks.
//   y[l, d] = sum over columns c and over t >= l of p[c, t, d] q[c, t - l, d]
// Items: four channels.
// Arguments: p, q, y, d_model, rows of a column, chunks, columns, and the panel of both, as in channel_matmul
// Scratch: the sums, and a column of p and of q, all of four channels

import { columnRows, columnStart } from "./channel_matmul";
import { threadScratch } from "./control";
import { arg } from "./record";
import { packRows4, storeRow } from "./rows";
import { madd } from "./simd";

export function channelCorrelate(rec: usize, begin: u32, end: u32): void {
  const d_model = arg(rec, 3);
  const rows = arg(rec, 4);
  const chunks = arg(rec, 5);
  const columns = arg(rec, 6);
  const sums = threadScratch();
  const p = sums + rows * 16;
  const q = p + rows * 16;
  for (let item = begin; item < end; item++) {
    const d = item * 4;
    memory.fill(sums, 0, rows * 16);
    for (let c: u32 = 0; c < columns; c++) {
      const start: usize = (columnStart(rec, 7, chunks, c) * d_model + d) * 4;
      const there = min(rows, columnRows(rec, 7, chunks, c));
      packRows4(arg(rec, 0) + start, d_model * 4, d_model - d, p, there, there);
      packRows4(arg(rec, 1) + start, d_model * 4, d_model - d, q, there, there);
      for (let l: u32 = 0; l < there; l++) {
        let sum = v128.load(sums + l * 16);
        for (let t = l; t < there; t++) {
          sum = madd(v128.load(p + t * 16), v128.load(q + (t - l) * 16), sum);
        }
        v128.store(sums + l * 16, sum);
      }
    }
    for (let l: u32 = 0; l < rows; l++) storeRow(arg(rec, 2), l, d_model, d, v128.load(sums + l * 16));
  }
}
