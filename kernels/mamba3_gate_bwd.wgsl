// mamba3_gate_bwd: gradients of mamba3_gate_fwd. With n = y rstd weight (y itself if not NORM), gate = z mimo_z,
// o = mimo_o grad_out (grad_out if not MIMO), and a mean over the head's channels:
//   grad_n = o silu(gate)     grad_y = rstd (weight grad_n - y rstd mean(weight grad_n y rstd)), in place of y
//   grad_z = sum over r of o n silu'(gate) mimo_z
//   partials, one for each tile of rows: of mimo_z: sum of o n silu'(gate) z; of mimo_o: sum of grad_out n silu(gate);
//   of weight: sum of grad_n y rstd
// A workgroup per head and tile of ROWS rows of a sequence, a lane per channel.
override NHEADS: u32;
override HEADDIM: u32;
override RANK: u32;
override MIMO: bool;
override NORM: bool;
override D_IN_PROJ: u32;
override EPS: f32;
override ROWS: u32;
override D_INNER: u32 = NHEADS * HEADDIM;

struct Params {
  seqlen: u32,
  o_start: u32,      // where the partials of mimo_o begin; those of mimo_z come first
  weight_start: u32, // and those of weight
}

@group(0) @binding(0) var<storage, read_write> y: array<f32>;           // (batch, seqlen, RANK, D_INNER)
@group(0) @binding(1) var<storage, read> zxBCdt: array<f32>;            // (batch, seqlen, D_IN_PROJ): z first
@group(0) @binding(2) var<storage, read> mimo_z: array<f32>;            // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(3) var<storage, read> mimo_o: array<f32>;            // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(4) var<storage, read> weight: array<f32>;            // (D_INNER), if NORM
@group(0) @binding(5) var<storage, read> grad_out: array<f32>;          // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<storage, read_write> grad_zxBCdt: array<f32>; // (batch, seqlen, D_IN_PROJ): z's columns
@group(0) @binding(7) var<storage, read_write> partials: array<f32>;    // (tiles, RANK D_INNER) twice; (tiles, D_INNER)
@group(0) @binding(8) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> sums: array<f32, LANES>;

// The sum of what all lanes bring: for all of them.
fn total(own: f32, lane: u32) -> f32 {
  sums[lane] = own;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      sums[lane] += sums[lane + half];
    }
    workgroupBarrier();
  }
  let sum = sums[0];
  workgroupBarrier();
  return sum;
}

fn factor(i: u32) -> f32 {
  if (MIMO) {
    return mimo_z[i];
  }
  return 1.0;
}

fn share(i: u32) -> f32 {
  if (MIMO) {
    return mimo_o[i];
  }
  return 1.0;
}

fn weight_at(d: u32) -> f32 {
  if (NORM) {
    return weight[d];
  }
  return 1.0;
}

// Adds to a partial, which the first of its rows sets.
fn add(i: u32, value: f32, is_first: bool) {
  partials[i] = select(partials[i], 0.0, is_first) + value;
}

@compute @workgroup_size(LANES)
fn mamba3_gate_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                   @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let t0 = wid.y * ROWS;
  let end = min(t0 + ROWS, params.seqlen);
  let partial = (wid.z * count.y + wid.y) * RANK * D_INNER;
  let of_weight = params.weight_start + (wid.z * count.y + wid.y) * D_INNER;
  for (var t = t0; t < end; t++) {
    let row = wid.z * params.seqlen + t;
    for (var r = 0u; r < RANK; r++) {
      let first = (row * RANK + r) * D_INNER + h * HEADDIM;
      var rstd = 1.0;
      var mean = 0.0;
      if (NORM) {
        var squares = 0.0;
        for (var p = lane; p < HEADDIM; p += LANES) {
          squares += y[first + p] * y[first + p];
        }
        rstd = inverseSqrt(total(squares, lane) / f32(HEADDIM) + EPS);
        var own = 0.0;
        for (var p = lane; p < HEADDIM; p += LANES) {
          let d = h * HEADDIM + p;
          let i = (h * RANK + r) * HEADDIM + p;
          let grad_n = share(i) * grad_out[row * D_INNER + d] * silu(zxBCdt[row * D_IN_PROJ + d] * factor(i));
          own += weight[d] * grad_n * y[first + p] * rstd;
        }
        mean = total(own, lane) / f32(HEADDIM);
      }
      for (var p = lane; p < HEADDIM; p += LANES) {
        let d = h * HEADDIM + p;
        let i = (h * RANK + r) * HEADDIM + p;
        let z = zxBCdt[row * D_IN_PROJ + d];
        let grad = grad_out[row * D_INNER + d];
        let gate = z * factor(i);
        let s = 1.0 / (1.0 + exp(-gate));
        let value = y[first + p] * rstd;
        let n = value * weight_at(d);
        let grad_n = share(i) * grad * gate * s;
        let grad_gate = share(i) * grad * n * s * (1.0 + gate * (1.0 - s));
        let at = row * D_IN_PROJ + d;
        grad_zxBCdt[at] = select(grad_zxBCdt[at], 0.0, r == 0u) + grad_gate * factor(i);
        if (MIMO) {
          add(partial + i, grad_gate * z, t == t0);
          add(params.o_start + partial + i, grad * n * gate * s, t == t0);
        }
        if (NORM) {
          add(of_weight + d, grad_n * value, t == t0 && r == 0u);
          y[first + p] = rstd * (weight[d] * grad_n - value * mean);
        } else {
          y[first + p] = grad_n;
        }
      }
    }
  }
}
