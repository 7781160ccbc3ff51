// _matvec_rows: what kernels share of which a lane has some rows of x and of weight. Goes after _matvec; the kernel
// declares the overrides of a matvec, params, and PAIR and PAIRS: fours of columns of a chunk that are used at a time,
// and how often.

fn row_start(m: u32) -> u32 {
  return params.x_offset + min(m, params.rows - 1u) * params.ld_x;
}

// Columns i to i + 3 of row m, times norm_weight if NORM.
fn x_scaled(m: u32, i: u32) -> vec4<f32> {
  let values = x_at(row_start(m), i);
  if (NORM) {
    // One tensor, which starts aligned; beyond D_IN it may hold anything.
    let is_there = vec4<bool>(i < D_IN, i + 1u < D_IN, i + 2u < D_IN, i + 3u < D_IN);
    return select(vec4<f32>(0.0), values * norm_weight[i / 4u], is_there);
  }
  return values;
}

// Four columns of a chunk: of those that are used now, before their scale.
fn weights_of(words: vec4<u32>, pair: u32, quad: u32) -> vec4<f32> {
  if (W_DTYPE == DTYPE_F32) {
    return bitcast<vec4<f32>>(words);
  }
  let two = select(words.xy, words.zw, 2u * pair >= PAIRS);
  if (W_DTYPE == DTYPE_INT8) {
    return unpack_int8(select(two.x, two.y, quad == 1u));
  }
  if (W_DTYPE == DTYPE_INT4) {
    return unpack_int4(select(two.x, two.y, pair % 2u == 1u) >> (4u * quad));
  }
  let half = select(words.xy, words.zw, quad == 1u);
  if (W_DTYPE == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

// Sums of a lane, for each row of x those of its rows of weight.
struct Sums {
  m0: vec4<f32>,
  m1: vec4<f32>,
  m2: vec4<f32>,
  m3: vec4<f32>,
  m4: vec4<f32>,
  m5: vec4<f32>,
  m6: vec4<f32>,
  m7: vec4<f32>,
}

// By row of weight, four columns of each.
fn plus_four(sums: vec4<f32>, v: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
  return vec4<f32>(plus_dot(sums.x, v, w[0]), plus_dot(sums.y, v, w[1]),
                   plus_dot(sums.z, v, w[2]), plus_dot(sums.w, v, w[3]));
}

fn plus_scaled(sums: Sums, scales: vec4<f32>, chunk: Sums) -> Sums {
  return Sums(fma(scales, chunk.m0, sums.m0), fma(scales, chunk.m1, sums.m1),
              fma(scales, chunk.m2, sums.m2), fma(scales, chunk.m3, sums.m3),
              fma(scales, chunk.m4, sums.m4), fma(scales, chunk.m5, sums.m5),
              fma(scales, chunk.m6, sums.m6), fma(scales, chunk.m7, sums.m7));
}
