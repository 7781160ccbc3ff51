// matmul_split_fwd: what matmul_fwd computes, for results of so few tiles that it would leave a device idle. 256 lanes
// compute a tile of 32 x 32, and each element's sum is split over four groups of 64 lanes: of every 64 columns of x and
// weight, a group has 16. A lane keeps 4 x 4 sums of its group, which meet in order at the end.
// With PARTS of the columns y is (PARTS, rows, ROWS), and each part's sums are for sum_partials to add up.
// Goes after _linear and _tile.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override X_ALIGNED: bool;  // D_IN, ld_x and x_offset are multiples of 4
override Y_ALIGNED: bool;  // ROWS, ROW_START and ld_y are multiples of 4
override BIAS: bool;
override RESIDUAL: bool;
override PARTS: u32;       // 1, or where neither BIAS nor RESIDUAL is

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;       // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;    // (all rows of weight)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (rows, all rows of weight) at stride ld_y
@group(0) @binding(4) var<storage, read_write> y_elements: array<f32>; // the same, if not Y_ALIGNED: see write1()
@group(0) @binding(5) var<uniform> params: Params;

const SIDE = 32u;
const DEPTH = 16u;       // columns that a group takes at a time
const STEP = 64u;        // columns that all groups do
const BLOCK = 8u * STEP;

// [group][k][m / 4] and [group][k][o / 4], permuted by k: see swizzled(). 16 KiB, what any device has.
var<workgroup> a_tile: array<array<vec4<f32>, 8>, 64>;
var<workgroup> b_tile: array<array<vec4<f32>, 8>, 64>;

// What one lane brings of its group's slice: 4 columns of each of 4 rows, the first lanes of x, the others of weight.
fn load(m0: u32, o0: u32, k: u32, own: u32) -> mat4x4<f32> {
  let row = own / 4u % 8u * 4u;
  if (own < 32u) {
    let m = m0 + row;
    return mat4x4<f32>(x_at(m, k), x_at(m + 1u, k), x_at(m + 2u, k), x_at(m + 3u, k));
  }
  let o = o0 + row;
  return mat4x4<f32>(weight_at(o, k), weight_at(o + 1u, k), weight_at(o + 2u, k), weight_at(o + 3u, k));
}

fn store(slice: mat4x4<f32>, group: u32, own: u32) {
  let k = own % 4u * 4u;
  let row = group * DEPTH + k;
  let column = swizzled(own / 4u % 8u, k);
  let by_k = transpose(slice);
  if (own < 32u) {
    a_tile[row][column] = by_k[0];
    a_tile[row + 1u][column] = by_k[1];
    a_tile[row + 2u][column] = by_k[2];
    a_tile[row + 3u][column] = by_k[3];
  } else {
    b_tile[row][column] = by_k[0];
    b_tile[row + 1u][column] = by_k[1];
    b_tile[row + 2u][column] = by_k[2];
    b_tile[row + 3u][column] = by_k[3];
  }
}

fn add_4_steps(sum: mat4x4<f32>, first: u32, k: u32, m4: u32, o4: u32) -> mat4x4<f32> {
  let row = first + k;
  let a = swizzled(m4, k);
  let b = swizzled(o4, k);
  let two = plus_outer(plus_outer(sum, a_tile[row][a], b_tile[row][b]), a_tile[row + 1u][a], b_tile[row + 1u][b]);
  return plus_outer(
    plus_outer(two, a_tile[row + 2u][a], b_tile[row + 2u][b]), a_tile[row + 3u][a], b_tile[row + 3u][b]);
}

@compute @workgroup_size(256)
fn matmul_split_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * SIDE;
  let m0 = wid.y * SIDE;
  let group = lane / 64u;
  let own = lane % 64u;
  let o4 = own % 8u;
  let m4 = own / 8u;
  let own_k = group * DEPTH + own % 4u * 4u;
  let first = group * DEPTH;
  var sum = mat4x4<f32>();
  var earlier = mat4x4<f32>();
  let steps = (D_IN + STEP - 1u) / STEP;
  let begin = wid.z * ((steps + PARTS - 1u) / PARTS) * STEP;
  let end = min(D_IN, begin + (steps + PARTS - 1u) / PARTS * STEP);
  var slice = load(m0, o0, begin + own_k, own);
  for (var k0 = begin; k0 < end; k0 += STEP) {
    store(slice, group, own);
    workgroupBarrier();
    if (k0 + STEP < end) {
      slice = load(m0, o0, k0 + STEP + own_k, own);
    }
    sum = add_4_steps(add_4_steps(sum, first, 0u, m4, o4), first, 4u, m4, o4);
    sum = add_4_steps(add_4_steps(sum, first, 8u, m4, o4), first, 12u, m4, o4);
    // A long sum's terms vanish beside it: blocks of them are added up apart.
    if (k0 % BLOCK == BLOCK - STEP) {
      earlier += sum;
      sum = mat4x4<f32>();
    }
    workgroupBarrier();
  }
  sum = earlier + sum;
  // The groups' sums, two groups in either tile: [group][column of the block][lane].
  for (var i = 0u; i < 4u; i++) {
    let row = (group % 2u * 4u + i) * 8u + own / 8u;
    if (group < 2u) {
      a_tile[row][own % 8u] = sum[i];
    } else {
      b_tile[row][own % 8u] = sum[i];
    }
  }
  workgroupBarrier();
  // Each lane has a row of a block now: row `group` of the one that lanes `own` summed.
  let row = group * 8u + own / 8u;
  let column = own % 8u;
  let total = (a_tile[row][column] + a_tile[row + 32u][column]) + (b_tile[row][column] + b_tile[row + 32u][column]);
  write4(wid.z * params.rows, m0 + m4 * 4u + group, o0 + o4 * 4u, total);
}
