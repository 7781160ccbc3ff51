// gated_rms_norm_bwd: backward of gated_rms_norm_fwd, which kept nothing: rstd is computed again.
//   gate first:        v = y silu(z), r = grad_out           grad_y = grad_v silu(z)    grad_z = grad_v y silu'(z)
//   NORM_BEFORE_GATE:  v = y, r = grad_out silu(z)           grad_y = grad_v   grad_z = grad_out v rstd weight silu'(z)
//   with rstd = rsqrt(mean(v^2) + EPS) over a group, and grad_v = rstd (r weight - v rstd^2 mean(r weight v))
//   not NORM:          out = y silu(z), as if rstd and weight were 1 and the mean 0
//   partials[part] = sum over the part's rows of r v rstd, which sum_partials adds up to grad_weight
// grad_y replaces grad_out. One workgroup per group and part of rows_per_part rows, TILE rows at a time: first 16 lanes
// a row for the two sums, then a lane per column goes down the tile's rows with its grad_weight in a register.
override D_INNER: u32;
override GROUP_SIZE: u32; // divides D_INNER
override EPS: f32;
override NORM: bool;
override NORM_BEFORE_GATE: bool;

struct Params {
  rows: u32,
  ld_z: u32,
  z_offset: u32,
  ld_grad_z: u32,
  grad_z_offset: u32,
  rows_per_part: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;              // (rows, D_INNER)
@group(0) @binding(1) var<storage, read> z: array<f32>;              // (rows, D_INNER) at z_offset, ld_z
@group(0) @binding(2) var<storage, read> weight: array<f32>;         // (D_INNER)
@group(0) @binding(3) var<storage, read_write> grad_out: array<f32>; // (rows, D_INNER), out grad_y
@group(0) @binding(4) var<storage, read_write> grad_z: array<f32>;   // (rows, D_INNER) at grad_z_offset, ld_grad_z
@group(0) @binding(5) var<storage, read_write> partials: array<f32>; // (parts, D_INNER)
@group(0) @binding(6) var<uniform> params: Params;

const LANES = 128u;
const LANES_PER_ROW = 16u;
const ROWS_AT_ONCE = LANES / LANES_PER_ROW;
const TILE = 16u;

// Of each lane: sum of v^2, sum of r weight v.
var<workgroup> sums: array<vec2<f32>, LANES>;
// Of each row of the tile: rstd, rstd^2 mean(r weight v).
var<workgroup> factors: array<vec2<f32>, TILE>;

// v and r of column d.
fn v_and_r(row: u32, d: u32) -> vec2<f32> {
  let gate = silu(z[params.z_offset + row * params.ld_z + d]);
  let pair = vec2<f32>(y[row * D_INNER + d], grad_out[row * D_INNER + d]);
  return select(vec2<f32>(pair.x * gate, pair.y), vec2<f32>(pair.x, pair.y * gate), NORM_BEFORE_GATE);
}

fn silu_derivative(v: f32) -> f32 {
  let s = 1.0 / (1.0 + exp(-v));
  return s * (1.0 + v * (1.0 - s));
}

fn weight_at(d: u32) -> f32 {
  if (NORM) {
    return weight[d];
  }
  return 1.0;
}

@compute @workgroup_size(LANES)
fn gated_rms_norm_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let part = wid.x;
  let group = wid.y * GROUP_SIZE;
  let first = part * params.rows_per_part;
  let end = min(params.rows, first + params.rows_per_part);
  let place = lane % LANES_PER_ROW;
  for (var tile = first; tile < end; tile += TILE) {
    if (NORM) {
      for (var i0 = 0u; i0 < TILE; i0 += ROWS_AT_ONCE) {
        let i = i0 + lane / LANES_PER_ROW;
        let row = tile + i;
        var sum = vec2<f32>(0.0);
        if (row < end) {
          for (var d = group + place; d < group + GROUP_SIZE; d += LANES_PER_ROW) {
            let pair = v_and_r(row, d);
            sum += pair.x * vec2<f32>(pair.x, pair.y * weight[d]);
          }
        }
        sums[lane] = sum;
        for (var half = LANES_PER_ROW / 2u; half > 0u; half /= 2u) {
          workgroupBarrier();
          if (place < half) {
            sums[lane] += sums[lane + half];
          }
        }
        if (place == 0u) {
          let means = sums[lane] / f32(GROUP_SIZE);
          let rstd = inverseSqrt(means.x + EPS);
          factors[i] = vec2<f32>(rstd, rstd * rstd * means.y);
        }
        workgroupBarrier();
      }
    }
    for (var d = group + lane; d < group + GROUP_SIZE; d += LANES) {
      let w = weight_at(d);
      var grad_weight = 0.0;
      for (var i = 0u; i < min(TILE, end - tile); i++) {
        let row = tile + i;
        let gate_in = z[params.z_offset + row * params.ld_z + d];
        let value = y[row * D_INNER + d];
        let grad = grad_out[row * D_INNER + d];
        let pair = v_and_r(row, d);
        var factor = vec2<f32>(1.0, 0.0);
        if (NORM) {
          factor = factors[i];
        }
        let grad_v = factor.x * (pair.y * w - pair.x * factor.y);
        let grad_gate = select(grad_v * value, grad * value * factor.x * w, NORM_BEFORE_GATE);
        grad_out[row * D_INNER + d] = select(grad_v * silu(gate_in), grad_v, NORM_BEFORE_GATE);
        grad_z[params.grad_z_offset + row * params.ld_grad_z + d] = grad_gate * silu_derivative(gate_in);
        grad_weight += pair.y * pair.x * factor.x;
      }
      if (NORM) {
        if (tile > first) {
          grad_weight += partials[part * D_INNER + d];
        }
        partials[part * D_INNER + d] = grad_weight;
      }
    }
    workgroupBarrier();
  }
}
