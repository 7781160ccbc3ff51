// matvec_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for one row b or two: what one step spends its time on.
//   With norm, residual and conv1d as _matvec says, which has the arithmetic.
// A workgroup is LANES x GROUPS lanes. A group computes ROWS_PER_GROUP rows of weight: each lane takes 8 columns at a
// time, loads their x once and uses it for all rows. The grid is (row blocks, b).
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override LANES: u32;       // a power of two
override GROUPS: u32;
override ALIGNED: bool;    // rows of x start at multiples of 4 floats and D_IN is a multiple of 8
override NORM: bool;
override EPS: f32;
override BIAS: bool;
override RESIDUAL: bool;
override CONV: bool;
override CONV_BIAS: bool;
override D_CONV: u32;
override CONV_START: u32;
override D_INNER: u32;

struct Params {
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (batch, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(4) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(5) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(6) var<storage, read_write> conv_state: array<f32>;  // (batch, D_INNER, D_CONV), newest last
@group(0) @binding(7) var<storage, read_write> y: array<f32>;           // (batch, all rows) at stride ld_y
@group(0) @binding(8) var<uniform> params: Params;

const ROWS_PER_GROUP = 4u; // one vec4 of sums
var<workgroup> sums: array<vec4<f32>, LANES * GROUPS>;
var<workgroup> squares: array<f32, LANES * GROUPS>;

@compute @workgroup_size(LANES, GROUPS)
fn matvec_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>,
              @builtin(local_invocation_index) index: u32) {
  let b = wid.y;
  let row = (wid.x * GROUPS + lid.y) * ROWS_PER_GROUP;
  var sum = vec4<f32>(0.0);
  var square = 0.0;
  for (var chunk = lid.x; chunk < (D_IN + 7u) / 8u; chunk += LANES) {
    var values = x_chunk(b, chunk);
    if (NORM) {
      square = plus_squares(plus_squares(square, values.low), values.high);
      values = normed(values, chunk);
    }
    sum = plus_chunk(sum, values, weights_at(row, chunk));
  }
  sums[index] = sum;
  squares[index] = square;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lid.x < half) {
      sums[index] += sums[index + half];
      squares[index] += squares[index + half];
    }
    workgroupBarrier();
  }
  if (lid.x < ROWS_PER_GROUP && row + lid.x < ROWS) {
    let group = lid.y * LANES;
    finish(b, ROW_START + row + lid.x, sums[group][lid.x], norm_factor(squares[group]));
  }
}
