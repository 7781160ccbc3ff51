// mamba3_gate_fwd: out[p] = sum over r of norm(y[r])[p] silu(z[p] mimo_z[r, p]) mimo_o[r, p] for each head, without the
// factors if not MIMO. norm(y) = y, or y weight / sqrt(mean(y^2) + EPS) over the head's channels if NORM.
// A workgroup per head and row, a lane per channel.
override NHEADS: u32;
override HEADDIM: u32;
override RANK: u32;
override MIMO: bool;
override NORM: bool;
override D_IN_PROJ: u32;
override EPS: f32;
override D_INNER: u32 = NHEADS * HEADDIM;

struct Params {
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;         // (batch, seqlen, RANK, D_INNER)
@group(0) @binding(1) var<storage, read> zxBCdt: array<f32>;    // (batch, seqlen, D_IN_PROJ): z first
@group(0) @binding(2) var<storage, read> mimo_z: array<f32>;    // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(3) var<storage, read> mimo_o: array<f32>;    // (NHEADS, RANK, HEADDIM), if MIMO
@group(0) @binding(4) var<storage, read> weight: array<f32>;    // (D_INNER), if NORM
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // (batch, seqlen, D_INNER)
@group(0) @binding(6) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> squares: array<f32, LANES>;

// 1 / the root of a head's mean square: for all lanes.
fn rstd_at(first: u32, lane: u32) -> f32 {
  var own = 0.0;
  for (var p = lane; p < HEADDIM; p += LANES) {
    own += y[first + p] * y[first + p];
  }
  squares[lane] = own;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      squares[lane] += squares[lane + half];
    }
    workgroupBarrier();
  }
  let rstd = inverseSqrt(squares[0] / f32(HEADDIM) + EPS);
  workgroupBarrier();
  return rstd;
}

@compute @workgroup_size(LANES)
fn mamba3_gate_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let row = wid.z * params.seqlen + wid.y;
  for (var r = 0u; r < RANK; r++) {
    let first = (row * RANK + r) * D_INNER + h * HEADDIM;
    var rstd = 1.0;
    if (NORM) {
      rstd = rstd_at(first, lane);
    }
    for (var p = lane; p < HEADDIM; p += LANES) {
      let d = h * HEADDIM + p;
      var value = y[first + p] * rstd;
      if (NORM) {
        value *= weight[d];
      }
      var gate = zxBCdt[row * D_IN_PROJ + d];
      if (MIMO) {
        let i = (h * RANK + r) * HEADDIM + p;
        gate *= mimo_z[i];
        value *= mimo_o[i];
      }
      value *= silu(gate);
      // Each lane adds to what it wrote itself.
      out[row * D_INNER + d] = select(out[row * D_INNER + d], 0.0, r == 0u) + value;
    }
  }
}
