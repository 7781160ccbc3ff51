// matmul_fwd: y[m, o] = sum_k weight[o, k] x[m, k] + bias[o], or y[m, o] += with `residual`, for many rows m.
// Items: panels of weight for a block of rows, those of the first block first. A panel is unpacked to f32 once a block,
// and the block's rows of x stay in the second cache. Tiles are 3 rows of x by 4 of weight; every element is added up in
// the same order whatever the tile, so that no row's result depends on how many there are.
// Scratch: a panel of f32, and where rows are no whole blocks of 8 columns, the padded rows of x.
// Arguments (0 where absent): x, weight, y, bias, dtype, d_in, out, rows, ldX, ldY, residual, rowsPerBlock

import { WeightDType } from "../weight_dtype";
import { opNumber, threadScratch } from "./control";
import { loadLanes, storeLanes } from "./lanes";
import { blocksOf, PANEL_ROWS, panelBytes } from "./matrix";
import { arg } from "./record";
import { madd, sumLanes4 } from "./simd";
import { unpackPanel } from "./unpack_panel";

/** The op and the block whose x this thread has padded. */
let paddedOp: u32 = 0;
let paddedBlock: u32 = 0;

export function matmulFwd(rec: usize, begin: u32, end: u32): void {
  const dtype = <i32>arg(rec, 4);
  const d_in = arg(rec, 5);
  const out = arg(rec, 6);
  const rows = arg(rec, 7);
  const ldY = arg(rec, 9) * 4;
  const rowsPerBlock = arg(rec, 11);
  const panels = (out + PANEL_ROWS - 1) / PANEL_ROWS;
  const blocks = (d_in + 7) / 8;
  const unpacked = threadScratch();
  const padded = unpacked + <usize>panelFloats(dtype, d_in) * 4;
  for (let item = begin; item < end; item++) {
    const rowBlock = item / panels;
    const o = (item % panels) * PANEL_ROWS;
    const first = rowBlock * rowsPerBlock;
    const count = min<u32>(rowsPerBlock, rows - first);
    let panel: usize = arg(rec, 1) + (item % panels) * panelBytes(dtype, d_in);
    if (dtype != WeightDType.f32) {
      unpackPanel(panel, unpacked, dtype, blocksOf(dtype, d_in));
      panel = unpacked;
    }
    let ldX: usize = arg(rec, 8) * 4;
    let x: usize = arg(rec, 0) + first * ldX;
    if (d_in % 8 != 0) {
      if (paddedOp != opNumber || paddedBlock != rowBlock) pad(padded, x, ldX, d_in, count);
      paddedOp = opNumber;
      paddedBlock = rowBlock;
      x = padded;
      ldX = blocks * 32;
    }
    const columns = out - o;
    const bias = arg(rec, 3);
    const start = bias == 0 ? f32x4.splat(0) : loadLanes(bias + (o << 2), columns);
    const adds = arg(rec, 10) != 0;
    let y: usize = arg(rec, 2) + first * ldY + (o << 2);
    let m: u32 = 0;
    for (; m + 3 <= count; m += 3) {
      tile3(panel, x, ldX, blocks, y, ldY, columns, start, adds);
      x += 3 * ldX;
      y += 3 * ldY;
    }
    for (; m < count; m++) {
      tile1(panel, x, blocks, y, columns, start, adds);
      x += ldX;
      y += ldY;
    }
  }
}

/** Floats of an unpacked panel; none for f32, whose panels are used where they are. */
function panelFloats(dtype: i32, d_in: u32): u32 {
  return dtype == WeightDType.f32 ? 0 : blocksOf(dtype, d_in) * (dtype >= WeightDType.int8 ? 128 : 32);
}

function pad(target: usize, x: usize, ldX: usize, d_in: u32, count: u32): void {
  const bytes = (d_in + 7) / 8 * 32;
  for (let m: u32 = 0; m < count; m++) {
    v128.store(target + bytes - 32, f32x4.splat(0));
    v128.store(target + bytes - 16, f32x4.splat(0));
    memory.copy(target, x, d_in * 4);
    target += bytes;
    x += ldX;
  }
}

// @ts-ignore: decorator
@inline
function write(y: usize, columns: u32, sums: v128, start: v128, adds: bool): void {
  let values = f32x4.add(sums, start);
  if (adds) values = f32x4.add(values, loadLanes(y, columns));
  storeLanes(y, columns, values);
}

function tile3(
  panel: usize, x: usize, ldX: usize, blocks: u32, y: usize, ldY: usize, columns: u32, start: v128, adds: bool,
): void {
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let c2 = f32x4.splat(0);
  let d2 = f32x4.splat(0);
  let x1 = x + ldX;
  let x2 = x1 + ldX;
  const end = panel + <usize>blocks * 128;
  while (panel < end) {
    let v0 = v128.load(x);
    let v1 = v128.load(x1);
    let v2 = v128.load(x2);
    let w = v128.load(panel);
    a0 = madd(w, v0, a0);
    a1 = madd(w, v1, a1);
    a2 = madd(w, v2, a2);
    w = v128.load(panel, 32);
    b0 = madd(w, v0, b0);
    b1 = madd(w, v1, b1);
    b2 = madd(w, v2, b2);
    w = v128.load(panel, 64);
    c0 = madd(w, v0, c0);
    c1 = madd(w, v1, c1);
    c2 = madd(w, v2, c2);
    w = v128.load(panel, 96);
    d0 = madd(w, v0, d0);
    d1 = madd(w, v1, d1);
    d2 = madd(w, v2, d2);
    v0 = v128.load(x, 16);
    v1 = v128.load(x1, 16);
    v2 = v128.load(x2, 16);
    w = v128.load(panel, 16);
    a0 = madd(w, v0, a0);
    a1 = madd(w, v1, a1);
    a2 = madd(w, v2, a2);
    w = v128.load(panel, 48);
    b0 = madd(w, v0, b0);
    b1 = madd(w, v1, b1);
    b2 = madd(w, v2, b2);
    w = v128.load(panel, 80);
    c0 = madd(w, v0, c0);
    c1 = madd(w, v1, c1);
    c2 = madd(w, v2, c2);
    w = v128.load(panel, 112);
    d0 = madd(w, v0, d0);
    d1 = madd(w, v1, d1);
    d2 = madd(w, v2, d2);
    panel += 128;
    x += 32;
    x1 += 32;
    x2 += 32;
  }
  write(y, columns, sumLanes4(a0, b0, c0, d0), start, adds);
  write(y + ldY, columns, sumLanes4(a1, b1, c1, d1), start, adds);
  write(y + 2 * ldY, columns, sumLanes4(a2, b2, c2, d2), start, adds);
}

function tile1(panel: usize, x: usize, blocks: u32, y: usize, columns: u32, start: v128, adds: bool): void {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let c = f32x4.splat(0);
  let d = f32x4.splat(0);
  const end = panel + <usize>blocks * 128;
  while (panel < end) {
    const v0 = v128.load(x);
    const v1 = v128.load(x, 16);
    a = madd(v128.load(panel, 16), v1, madd(v128.load(panel), v0, a));
    b = madd(v128.load(panel, 48), v1, madd(v128.load(panel, 32), v0, b));
    c = madd(v128.load(panel, 80), v1, madd(v128.load(panel, 64), v0, c));
    d = madd(v128.load(panel, 112), v1, madd(v128.load(panel, 96), v0, d));
    panel += 128;
    x += 32;
  }
  write(y, columns, sumLanes4(a, b, c, d), start, adds);
}
