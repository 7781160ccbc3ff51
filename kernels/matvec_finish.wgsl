// matvec_finish: y[b, o] from the sums that matvec_groups left: their sum, and norm, bias, conv1d and residual, all as
// _matvec says.
// The grid is (blocks of LANES rows of weight, b): a lane a row. For the norm a workgroup adds up the squares of its
// row of x, in the order of all sums.
// A weight may be split by rows over several buffers: this dispatch writes rows ROW_START to ROW_START + ROWS.
override D_IN: u32;
override ROW_START: u32;
override ROWS: u32;
override ALIGNED: bool;    // rows of x start at multiples of 4 floats and D_IN is a multiple of 16
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
  groups: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (batch, D_IN) at stride ld_x, for NORM
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;        // (groups, rows, ROWS), only read
@group(0) @binding(2) var<storage, read> bias: array<f32>;              // (all rows)
@group(0) @binding(3) var<storage, read> conv_weight: array<f32>;       // (D_INNER, D_CONV)
@group(0) @binding(4) var<storage, read> conv_bias: array<f32>;         // (D_INNER)
@group(0) @binding(5) var<storage, read_write> conv_state: array<f32>;  // (batch, D_INNER, D_CONV), newest last
@group(0) @binding(6) var<storage, read_write> y: array<f32>;           // (batch, all rows) at stride ld_y
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 256u;
var<workgroup> squares: array<f32, LANES>;

fn x_at(start: u32, i: u32) -> vec4<f32> {
  if (ALIGNED) {
    return x[(start + i) / 4u];
  }
  var values = vec4<f32>(0.0);
  for (var j = 0u; j < 4u; j++) {
    if (i + j < D_IN) {
      values[j] = x[(start + i + j) / 4u][(start + i + j) % 4u];
    }
  }
  return values;
}

fn square_of_part(b: u32, part: u32) -> f32 {
  let start = params.x_offset + b * params.ld_x;
  var square = 0.0;
  for (var column = part * PART; column < min((part + 1u) * PART, D_IN); column += 4u) {
    square = plus_squares(square, x_at(start, column));
  }
  return square;
}

// The sum of a row's squares, in all lanes.
fn square_of_row(b: u32, lane: u32) -> f32 {
  var square = 0.0;
  for (var first = 0u; first < (D_IN + PART - 1u) / PART; first += LANES) {
    workgroupBarrier();
    squares[lane] = square_of_part(b, first + lane);
    workgroupBarrier();
    if (lane < LANES / GROUP_PARTS) {
      var group = 0.0;
      for (var p = 0u; p < GROUP_PARTS; p++) {
        group += squares[lane * GROUP_PARTS + p];
      }
      squares[lane * GROUP_PARTS] = group;
    }
    workgroupBarrier();
    for (var i = 0u; i < min(LANES, (D_IN + PART - 1u) / PART - first); i += GROUP_PARTS) {
      square += squares[i];
    }
  }
  return square;
}

// Of group g of a row; zero past the last one.
fn sum_at(g: u32, b: u32, o: u32) -> f32 {
  let value = sums[(min(g, params.groups - 1u) * params.rows + b) * ROWS + o];
  return select(0.0, value, g < params.groups);
}

@compute @workgroup_size(LANES)
fn matvec_finish(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let b = wid.y;
  let o = wid.x * LANES + lane;
  var factor = 1.0;
  if (NORM) {
    factor = norm_factor(square_of_row(b, lane));
  }
  if (o >= ROWS) {
    return;
  }
  var sum = 0.0;
  // Their loads overlap.
  for (var g = 0u; g < params.groups; g += 4u) {
    let four = vec4<f32>(sum_at(g, b, o), sum_at(g + 1u, b, o), sum_at(g + 2u, b, o), sum_at(g + 3u, b, o));
    sum = sum + four.x + four.y + four.z + four.w;
  }
  finish(b, ROW_START + o, sum, factor);
}
