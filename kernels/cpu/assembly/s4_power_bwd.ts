// s4_power_bwd: adds the gradient of Abar = diag(a) - p q^T to those of a, p and q: see kernels/s4_power_bwd.wgsl.
// Items: pairs of four channels.
// Arguments: system, grad_Abar (2 pairs, 2 pairs, d_model), grad_system, d_model, pairs

import { arg } from "./record";
import { loadRow, storeRow } from "./rows";

export function s4PowerBwd(rec: usize, begin: u32, end: u32): void {
  const system: usize = arg(rec, 0);
  const g: usize = arg(rec, 1);
  const d_model = arg(rec, 3);
  const pairs = arg(rec, 4);
  const size = pairs * 2;
  for (let item = begin; item < end; item++) {
    const d = item / pairs * 4;
    const re = item % pairs * 2;
    const im = re + 1;
    for (let i = re; i <= im; i++) {
      let p = f32x4.splat(0), q = p;
      for (let j: u32 = 0; j < size; j++) {
        const p_j = loadRow(system, 2 * size + j, d_model, d), q_j = loadRow(system, 3 * size + j, d_model, d);
        p = f32x4.sub(p, f32x4.mul(q_j, loadRow(g, i * size + j, d_model, d)));
        q = f32x4.sub(q, f32x4.mul(p_j, loadRow(g, j * size + i, d_model, d)));
      }
      add(rec, 2 * size + i, d, p);
      add(rec, 3 * size + i, d, q);
    }
    const same = f32x4.add(loadRow(g, re * size + re, d_model, d), loadRow(g, im * size + im, d_model, d));
    add(rec, re, d, same);
    add(rec, im, d, f32x4.sub(loadRow(g, im * size + re, d_model, d), loadRow(g, re * size + im, d_model, d)));
  }
}

// @ts-ignore: decorator
@inline
function add(rec: usize, row: u32, d: u32, values: v128): void {
  const d_model = arg(rec, 3);
  storeRow(arg(rec, 2), row, d_model, d, f32x4.add(loadRow(arg(rec, 2), row, d_model, d), values));
}
