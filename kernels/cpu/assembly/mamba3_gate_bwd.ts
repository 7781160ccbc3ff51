// mamba3_gate_bwd: gradients of mamba3_gate_fwd. With n = y rstd weight (y itself without a weight), gate = z mimo_z,
// o = mimo_o grad_out, and a mean over the head's channels:
//   grad_n = o silu(gate)     grad_y = rstd (weight grad_n - y rstd mean(weight grad_n y rstd)), in place of y
//   grad_z = sum over r of o n silu'(gate) mimo_z
//   partials, one for each tile of rows: of mimo_z: sum of o n silu'(gate) z; of mimo_o: sum of grad_out n silu(gate); of
//   weight: sum of grad_n y rstd
// Items: tiles of rows, of each all heads one after the other.
// Arguments: y (batch, seqlen, rank, d_inner), z in the first row of zxBCdt, from row to row of that, mimo_z or 0, mimo_o,
//   weight or 0, grad_out (batch, seqlen, d_inner), z in the first row of grad_zxBCdt, partials of mimo_z (tiles, rank,
//   d_inner), of mimo_o, of weight (tiles, d_inner), seqlen, nheads, headdim, rank, eps, rows of a tile

import { silu } from "./math";
import { arg, argF32 } from "./record";
import { rstdOf } from "./rms_norm_fwd";
import { sigmoid } from "./mamba3_inputs";

export function mamba3GateBwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 11);
  const nheads = arg(rec, 12);
  const headdim = arg(rec, 13);
  const rank = arg(rec, 14);
  const rows = arg(rec, 16);
  const d_inner = nheads * headdim;
  const tiles = (seqlen + rows - 1) / rows;
  for (let item = begin; item < end; item++) {
    const b = item / tiles;
    const first = item % tiles * rows;
    const last = min(first + rows, seqlen);
    const of_ranks: usize = item * rank * d_inner * 4;
    if (arg(rec, 3) != 0) {
      memory.fill(arg(rec, 8) + of_ranks, 0, rank * d_inner * 4);
      memory.fill(arg(rec, 9) + of_ranks, 0, rank * d_inner * 4);
    }
    const of_weight = arg(rec, 10) + item * d_inner * 4;
    if (arg(rec, 5) != 0) memory.fill(of_weight, 0, d_inner * 4);
    for (let t = first; t < last; t++) {
      for (let h: u32 = 0; h < nheads; h++) backHead(rec, b * seqlen + t, h, of_ranks, of_weight);
    }
  }
}

/** A head of a row. */
function backHead(rec: usize, row: u32, h: u32, of_ranks: usize, of_weight: usize): void {
  const headdim = arg(rec, 13);
  const rank = arg(rec, 14);
  const d_inner = arg(rec, 12) * headdim;
  const column: usize = h * headdim * 4;
  const weight = arg(rec, 5) == 0 ? 0 : arg(rec, 5) + column;
  const isMimo = arg(rec, 3) != 0;
  const z = arg(rec, 1) + row * arg(rec, 2) * 4 + column;
  const grad_z = arg(rec, 7) + row * arg(rec, 2) * 4 + column;
  const grad_out = arg(rec, 6) + row * d_inner * 4 + column;
  const one: f32 = 1;
  for (let r: u32 = 0; r < rank; r++) {
    const y = arg(rec, 0) + (row * rank + r) * d_inner * 4 + column;
    const factors: usize = (h * rank + r) * headdim * 4;
    const rstd = weight == 0 ? one : rstdOf(y, headdim, argF32(rec, 15));
    let mean: f32 = 0;
    if (weight != 0) {
      for (let at: usize = 0; at < headdim * 4; at += 4) {
        const gate = load<f32>(z + at) * (isMimo ? load<f32>(arg(rec, 3) + factors + at) : one);
        const o = load<f32>(grad_out + at) * (isMimo ? load<f32>(arg(rec, 4) + factors + at) : one);
        mean += load<f32>(weight + at) * o * silu(gate) * load<f32>(y + at) * rstd;
      }
      mean /= <f32>headdim;
    }
    for (let at: usize = 0; at < headdim * 4; at += 4) {
      const own_z = load<f32>(z + at);
      const factor = isMimo ? load<f32>(arg(rec, 3) + factors + at) : one;
      const grad = load<f32>(grad_out + at);
      const o = grad * (isMimo ? load<f32>(arg(rec, 4) + factors + at) : one);
      const gate = own_z * factor;
      const s = sigmoid(gate);
      const value = load<f32>(y + at) * rstd;
      const scale = weight == 0 ? one : load<f32>(weight + at);
      const n = value * scale;
      const grad_n = o * gate * s;
      const grad_gate = o * n * s * (one + gate * (one - s));
      const before: f32 = r == 0 ? 0 : load<f32>(grad_z + at);
      store<f32>(grad_z + at, before + grad_gate * factor);
      if (isMimo) {
        add(arg(rec, 8) + of_ranks + factors + at, grad_gate * own_z);
        add(arg(rec, 9) + of_ranks + factors + at, grad * n * gate * s);
      }
      if (weight != 0) add(of_weight + column + at, grad_n * value);
      store<f32>(y + at, weight == 0 ? grad_n : rstd * (scale * grad_n - value * mean));
    }
  }
}

// @ts-ignore: decorator
@inline
function add(address: usize, value: f32): void {
  store<f32>(address, load<f32>(address) + value);
}
