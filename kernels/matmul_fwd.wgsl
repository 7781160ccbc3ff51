// matmul_fwd: y[m, o] = sum_k x[m, k] weight[o, k] + bias[o], for many rows m (prefill, training).
//   Row m of x starts at x_offset + m * ld_x. RESIDUAL: y += instead of =.
// A workgroup of 256 lanes computes a tile of 64 x 64: slices of 16 columns of x and weight go through
// workgroup memory, transposed, and each lane keeps 4 x 4 sums in registers. Every sum runs over k in order.
// A weight may be split by rows over several buffers: this dispatch writes columns ROW_START to ROW_START + ROWS of y.
override D_IN: u32;
override W_STRIDE: u32;   // elements from row to row of weight, a multiple of 8; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override BIAS: bool;
override RESIDUAL: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;             // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // (ROWS, W_STRIDE), packed
@group(0) @binding(2) var<storage, read> bias: array<f32>;          // (all rows of weight)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // (rows, all rows of weight) at stride ld_y
@group(0) @binding(4) var<uniform> params: Params;

const TILE = 64u;
const DEPTH = 16u;
var<workgroup> x_tile: array<array<vec4<f32>, 16>, DEPTH>;       // [k][m / 4], TILE / 4 of them
var<workgroup> weight_tile: array<array<vec4<f32>, 16>, DEPTH>;  // [k][o / 4]

fn load_x(m0: u32, k0: u32, index: u32) {
  let m4 = index / DEPTH;
  let k = index % DEPTH;
  var values = vec4<f32>(0.0);
  if (k0 + k < D_IN) {
    for (var i = 0u; i < 4u; i++) {
      let m = m0 + m4 * 4u + i;
      if (m < params.rows) {
        values[i] = x[params.x_offset + m * params.ld_x + k0 + k];
      }
    }
  }
  x_tile[k][m4] = values;
}

// Lane index < 128 brings 8 columns of one row of the weight.
fn load_weight(o0: u32, k0: u32, index: u32) {
  let o = index / 2u;
  let k = (index % 2u) * 8u;
  var low = vec4<f32>(0.0);
  var high = vec4<f32>(0.0);
  if (o0 + o < ROWS && k0 + k < W_STRIDE) {
    let element = (o0 + o) * W_STRIDE + k0 + k;
    if (W_DTYPE == DTYPE_F32) {
      low = bitcast<vec4<f32>>(weight[element / 4u]);
      high = bitcast<vec4<f32>>(weight[element / 4u + 1u]);
    } else {
      let words = weight[element / 8u];
      if (W_DTYPE == DTYPE_F16) {
        low = unpack_f16(words.xy);
        high = unpack_f16(words.zw);
      } else {
        low = unpack_bf16(words.xy);
        high = unpack_bf16(words.zw);
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    weight_tile[k + i][o / 4u][o % 4u] = low[i];
    weight_tile[k + 4u + i][o / 4u][o % 4u] = high[i];
  }
}

@compute @workgroup_size(256)
fn matmul_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * TILE;
  let m0 = wid.y * TILE;
  let o4 = lane % 16u;
  let m4 = lane / 16u;
  var sum0 = vec4<f32>(0.0);
  var sum1 = vec4<f32>(0.0);
  var sum2 = vec4<f32>(0.0);
  var sum3 = vec4<f32>(0.0);
  for (var k0 = 0u; k0 < D_IN; k0 += DEPTH) {
    load_x(m0, k0, lane);
    if (lane < 128u) {
      load_weight(o0, k0, lane);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let a = x_tile[k][m4];
      let w = weight_tile[k][o4];
      sum0 += a.x * w;
      sum1 += a.y * w;
      sum2 += a.z * w;
      sum3 += a.w * w;
    }
    workgroupBarrier();
  }
  let sums = array<vec4<f32>, 4>(sum0, sum1, sum2, sum3);
  for (var i = 0u; i < 4u; i++) {
    let m = m0 + m4 * 4u + i;
    for (var j = 0u; j < 4u; j++) {
      let o = o0 + o4 * 4u + j;
      if (m < params.rows && o < ROWS) {
        let target_index = m * params.ld_y + ROW_START + o;
        var value = sums[i][j];
        if (BIAS) {
          value += bias[ROW_START + o];
        }
        if (RESIDUAL) {
          value += y[target_index];
        }
        y[target_index] = value;
      }
    }
  }
}
