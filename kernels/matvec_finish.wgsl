// matvec_finish: y[b, o] from the sums that matvec_groups left: their sum, in the order of _chains, and norm, bias,
// conv1d and residual, as _matvec says.
// The grid is (blocks of LANES rows of weight, b): a lane a row. For the norm a workgroup adds up the squares of its
// row of x.
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override ROW_START: u32;
override ROWS: u32;
override ALIGNED: bool;    // rows of x start at multiples of 4 floats and D_IN is a multiple of 4
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
  rows: u32,
  shares: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (batch, D_IN) at stride ld_x, for NORM
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;        // (shares, rows, ROWS), only read
@group(0) @binding(2) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(3) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(4) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(5) var<storage, read_write> conv_state: array<f32>;  // (batch, D_INNER, D_CONV), newest last
@group(0) @binding(6) var<storage, read_write> y: array<f32>;           // (batch, all rows) at stride ld_y
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 256u;
var<workgroup> squares: array<f32, CHAINS>;

// There is one row of x: the 0-th.
fn squares4(i: u32, chain: u32) -> vec4<f32> {
  return vec4<f32>(squares[i + chain], squares[i + chain + 1u], squares[i + chain + 2u], squares[i + chain + 3u]);
}

// Of a share of a row, of which the workgroups of matvec_groups had `shares`; zero past the last one.
fn sum_at(share: u32, b: u32, o: u32) -> f32 {
  let value = sums[(min(share, params.shares - 1u) * params.rows + b) * ROWS + o];
  return select(0.0, value, share < params.shares);
}

// Of a row: shares are chains, or groups of them, or all.
fn sum_of_shares(b: u32, o: u32) -> f32 {
  var sum = 0.0;
  for (var s = 0u; s < params.shares; s += 4u) {
    // Their loads overlap.
    let four = vec4<f32>(sum_at(s, b, o), sum_at(s + 1u, b, o), sum_at(s + 2u, b, o), sum_at(s + 3u, b, o));
    if (params.shares == CHAINS) {
      sum += sum4(four);
    } else {
      sum = sum + four.x + four.y + four.z + four.w;
    }
  }
  return sum;
}

@compute @workgroup_size(LANES)
fn matvec_finish(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = wid.y;
  let o = wid.x * LANES + lane;
  if (NORM && lane < CHAINS) {
    let start = params.x_offset + b * params.ld_x;
    var square = 0.0;
    for (var column = 4u * lane; column < D_IN; column += 4u * CHAINS) {
      square += square_of(x_at(start, column));
    }
    squares[lane] = square;
  }
  workgroupBarrier();
  var factor = 1.0;
  if (NORM) {
    factor = norm_factor(0u);
  }
  if (o < ROWS) {
    finish(b, ROW_START + o, sum_of_shares(b, o), factor, load_ending(b, ROW_START + o));
  }
}
