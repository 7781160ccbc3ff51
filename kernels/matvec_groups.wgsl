// matvec_groups: the sums of groups of columns, for some rows of x: the products of many sequences' steps, before
// matvec_finish adds them up.
//   sums[g, m, o] = sum of weight[o, k] x[m, k] over k in group g        x times norm_weight first if NORM
//   SPLIT: a workgroup a group, so that few rows keep a device busy too. Else one adds up all of them, and g is 0.
// In the order that _matvec says. Tiles of 64 x 64 (see _matmul): a slice of 16 columns is a part, and two of them are
// in workgroup memory at once, side by side. Row m of x starts at x_offset + m * ld_x.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROWS: u32;
override WIDE: bool;       // of _matmul: false
override X_ALIGNED: bool;  // D_IN, ld_x and x_offset are multiples of 4
override NORM: bool;
override SPLIT: bool;

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;           // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> norm_weight: array<vec4<f32>>; // (D_IN)
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;      // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;        // (groups or 1, rows, ROWS)
@group(0) @binding(4) var<uniform> params: Params;

const PART = 16u;
const GROUP = 128u; // columns

fn is_quantized() -> bool {
  return W_DTYPE == DTYPE_INT8 || W_DTYPE == DTYPE_INT4;
}

fn x_element(start: u32, k: u32) -> f32 {
  let i = start + min(k, D_IN - 1u);
  return select(0.0, x[i / 4u][i % 4u], k < D_IN);
}

// norm_weight is one tensor, which starts aligned; beyond D_IN it may hold anything, and x is zero there.
fn norm_weight_at(i: u32) -> vec4<f32> {
  return select(vec4<f32>(0.0), norm_weight[i / 4u], vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN));
}

// Columns k to k + 3 of a row, zero past D_IN. Rows past the end are the last one's copies, whose sums nobody writes.
fn x_at(m: u32, k: u32) -> vec4<f32> {
  let start = params.x_offset + min(m, params.rows - 1u) * params.ld_x;
  var values: vec4<f32>;
  if (X_ALIGNED) {
    values = select(vec4<f32>(0.0), x[(start + min(k, D_IN - 4u)) / 4u], k < D_IN);
  } else {
    values = vec4<f32>(
      x_element(start, k), x_element(start, k + 1u), x_element(start, k + 2u), x_element(start, k + 3u));
  }
  if (NORM) {
    values *= norm_weight_at(k);
  }
  return values;
}

// Without scales. Where x is zero, past D_IN, any element of the row will do.
fn weight_at(o: u32, k: u32) -> vec4<f32> {
  let element = min(o, ROWS - 1u) * W_STRIDE + min(k, W_STRIDE - 4u);
  if (W_DTYPE == DTYPE_F32) {
    return bitcast<vec4<f32>>(weight[element / 4u]);
  }
  if (W_DTYPE == DTYPE_INT8) {
    return unpack_int8(weight[element / 16u][element / 4u % 4u]);
  }
  if (W_DTYPE == DTYPE_INT4) {
    return unpack_int4(weight[element / 32u][element / 8u % 4u] >> (element % 8u));
  }
  let words = weight[element / 8u];
  let half = select(words.xy, words.zw, element % 8u == 4u);
  if (W_DTYPE == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

fn scale_of(o: u32, k: u32) -> f32 {
  return scale_at(min(o, ROWS - 1u), k);
}

// What one lane brings of two slices: 4 columns of each of 4 rows. 64 lanes bring x of the first, 64 of the second, and
// as many others the weight.
fn load(m0: u32, o0: u32, k0: u32, lane: u32) -> mat4x4<f32> {
  let row = lane / 4u % 16u * 4u;
  let k = k0 + lane / 64u % 2u * PART + lane % 4u * 4u;
  if (lane < 128u) {
    let m = m0 + row;
    return mat4x4<f32>(x_at(m, k), x_at(m + 1u, k), x_at(m + 2u, k), x_at(m + 3u, k));
  }
  let o = o0 + row;
  return mat4x4<f32>(weight_at(o, k), weight_at(o + 1u, k), weight_at(o + 2u, k), weight_at(o + 3u, k));
}

// The second slice is where a wider tile has its further columns.
fn store(slice: mat4x4<f32>, lane: u32) {
  let block = lane / 4u % 32u;
  let k = lane % 4u * 4u;
  if (lane < 128u) {
    store_a_rows(block, k, slice);
  } else {
    store_b_rows(block, k, slice);
  }
}

fn add_step(sums: Sums, k: u32, m4: u32, o4: u32) -> Sums {
  let a = a_tile[k][swizzled(m4, k)];
  let b = b_tile[k][swizzled(o4, k)];
  var next = sums;
  next.s00 = mat4x4<f32>(fma(vec4<f32>(a.x), b, sums.s00[0]), fma(vec4<f32>(a.y), b, sums.s00[1]),
                         fma(vec4<f32>(a.z), b, sums.s00[2]), fma(vec4<f32>(a.w), b, sums.s00[3]));
  return next;
}

// The sums of a group with a part more.
fn plus_part(group: mat4x4<f32>, part: mat4x4<f32>, o: u32, k0: u32) -> mat4x4<f32> {
  if (is_quantized()) {
    let scale = vec4<f32>(scale_of(o, k0), scale_of(o + 1u, k0), scale_of(o + 2u, k0), scale_of(o + 3u, k0));
    return mat4x4<f32>(fma(scale, part[0], group[0]), fma(scale, part[1], group[1]),
                       fma(scale, part[2], group[2]), fma(scale, part[3], group[3]));
  }
  return group + part;
}

fn write4(first: u32, m: u32, o: u32, values: vec4<f32>) {
  for (var j = 0u; j < 4u; j++) {
    if (m < params.rows && o + j < ROWS) {
      sums[(first + m) * ROWS + o + j] = values[j];
    }
  }
}

@compute @workgroup_size(256)
fn matvec_groups(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * 64u;
  let m0 = wid.y * 64u;
  let o4 = lane % 16u;
  let m4 = lane / 16u;
  let begin = wid.z * GROUP;
  let end = select(D_IN, min(D_IN, begin + GROUP), SPLIT);
  var total = mat4x4<f32>();
  var group = mat4x4<f32>();
  var slice = load(m0, o0, begin, lane);
  for (var k0 = begin; k0 < end; k0 += 2u * PART) {
    store(slice, lane);
    workgroupBarrier();
    if (k0 + 2u * PART < end) {
      slice = load(m0, o0, k0 + 2u * PART, lane);
    }
    var none: Sums;
    group = plus_part(group, add_steps(none, m4, o4).s00, o0 + o4 * 4u, k0);
    if (k0 + PART < end) {
      group = plus_part(group, add_steps(none, m4 + 16u, o4 + 16u).s00, o0 + o4 * 4u, k0 + PART);
    }
    if (k0 % GROUP == GROUP - 2u * PART) {
      total += group;
      group = mat4x4<f32>();
    }
    workgroupBarrier();
  }
  total += group;
  write_block(wid.z * params.rows, m0 + m4 * 4u, o0 + o4 * 4u, total);
}
