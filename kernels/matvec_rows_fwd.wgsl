// matvec_rows_fwd: y[b, o] = sum_k weight[o, k] x[b, k] + bias[o], for some rows b: the steps of many sequences at once.
//   With norm, residual and conv1d as _matvec says, which has the arithmetic: bit for bit what matvec_fwd gives each row.
// A workgroup is LANES x GROUPS lanes. A group computes 4 or 8 rows of weight for 4 or 8 rows of x: each lane takes 8
// columns at a time and multiplies all of the one with all of the other, out of registers. Then 16 sums at a time meet in
// a tree. The grid is (blocks of rows of weight, blocks of rows of x).
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
override WIDE: bool;       // 8 rows of weight a group, instead of 4
override TALL: bool;       // 8 rows of x, instead of 4

struct Params {
  rows: u32,
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

// A lane's sums. Vector j of a block is row j of x, with four rows of weight; the first digit says which half of the rows
// of x it is, the second which half of those of weight. s10 and s11 are used if TALL, s01 and s11 if WIDE.
struct Sums {
  s00: mat4x4<f32>,
  s01: mat4x4<f32>,
  s10: mat4x4<f32>,
  s11: mat4x4<f32>,
}

// A chunk of four rows of x.
struct Chunks {
  a: Chunk,
  b: Chunk,
  c: Chunk,
  d: Chunk,
}

var<workgroup> parts: array<vec4<f32>, LANES * GROUPS * 4u>; // (GROUPS, 4, LANES)
var<workgroup> factors: array<vec4<f32>, GROUPS * 2u>;       // norm_factor() of a group's rows of x

// Rows past the end are the last one's copies, whose sums nobody writes.
fn chunks_at(b: u32, chunk: u32) -> Chunks {
  let rows = min(vec4<u32>(b, b + 1u, b + 2u, b + 3u), vec4<u32>(params.rows - 1u));
  return Chunks(x_chunk(rows.x, chunk), x_chunk(rows.y, chunk), x_chunk(rows.z, chunk), x_chunk(rows.w, chunk));
}

fn normed_chunks(v: Chunks, chunk: u32) -> Chunks {
  return Chunks(normed(v.a, chunk), normed(v.b, chunk), normed(v.c, chunk), normed(v.d, chunk));
}

fn plus_chunk_squares(square: f32, v: Chunk) -> f32 {
  return plus_squares(plus_squares(square, v.low), v.high);
}

fn plus_chunks_squares(s: vec4<f32>, v: Chunks) -> vec4<f32> {
  return vec4<f32>(plus_chunk_squares(s.x, v.a), plus_chunk_squares(s.y, v.b),
                   plus_chunk_squares(s.z, v.c), plus_chunk_squares(s.w, v.d));
}

fn plus_chunks(s: mat4x4<f32>, v: Chunks, w: Weights) -> mat4x4<f32> {
  return mat4x4<f32>(plus_chunk(s[0], v.a, w), plus_chunk(s[1], v.b, w),
                     plus_chunk(s[2], v.c, w), plus_chunk(s[3], v.d, w));
}

// Leaves the sums of a group's lanes in parts[group + 0, LANES, 2 LANES and 3 LANES].
fn sum_lanes(block: mat4x4<f32>, group: u32, lane: u32) {
  workgroupBarrier();
  for (var q = 0u; q < 4u; q++) {
    parts[group + q * LANES + lane] = block[q];
  }
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    for (var t = lane; t < 4u * half; t += LANES) {
      let i = group + t / half * LANES + t % half;
      parts[i] += parts[i + half];
    }
  }
  workgroupBarrier();
}

// Writes y[b + j, o + i], four by four; `half` says which of the group's rows of x begin at b.
fn write_block(block: mat4x4<f32>, b: u32, o: u32, half: u32, lid: vec3<u32>) {
  let group = lid.y * LANES * 4u;
  sum_lanes(block, group, lid.x);
  for (var t = lid.x; t < 16u; t += LANES) {
    let j = t / 4u;
    let i = t % 4u;
    if (b + j < params.rows && o + i < ROWS) {
      finish(b + j, ROW_START + o + i, parts[group + j * LANES][i], factors[lid.y * 2u + half][j]);
    }
  }
}

fn write_factors(squares: vec4<f32>, more: vec4<f32>, lid: vec3<u32>) {
  let group = lid.y * LANES * 4u;
  sum_lanes(mat4x4<f32>(squares, more, vec4<f32>(0.0), vec4<f32>(0.0)), group, lid.x);
  for (var t = lid.x; t < 2u; t += LANES) {
    let s = parts[group + t * LANES];
    factors[lid.y * 2u + t] = vec4<f32>(norm_factor(s.x), norm_factor(s.y), norm_factor(s.z), norm_factor(s.w));
  }
}

@compute @workgroup_size(LANES, GROUPS)
fn matvec_rows_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  let o = (wid.x * GROUPS + lid.y) * select(4u, 8u, WIDE);
  let b = wid.y * select(4u, 8u, TALL);
  var sums: Sums;
  var squares = vec4<f32>(0.0);
  var more_squares = vec4<f32>(0.0);
  for (var chunk = lid.x; chunk < (D_IN + 7u) / 8u; chunk += LANES) {
    var v = chunks_at(b, chunk);
    var more: Chunks;
    if (TALL) {
      more = chunks_at(b + 4u, chunk);
    }
    if (NORM) {
      squares = plus_chunks_squares(squares, v);
      v = normed_chunks(v, chunk);
      if (TALL) {
        more_squares = plus_chunks_squares(more_squares, more);
        more = normed_chunks(more, chunk);
      }
    }
    let w = weights_at(o, chunk);
    sums.s00 = plus_chunks(sums.s00, v, w);
    if (TALL) {
      sums.s10 = plus_chunks(sums.s10, more, w);
    }
    if (WIDE) {
      let wide = weights_at(o + 4u, chunk);
      sums.s01 = plus_chunks(sums.s01, v, wide);
      if (TALL) {
        sums.s11 = plus_chunks(sums.s11, more, wide);
      }
    }
  }
  if (NORM) {
    write_factors(squares, more_squares, lid);
  }
  write_block(sums.s00, b, o, 0u, lid);
  if (WIDE) {
    write_block(sums.s01, b, o + 4u, 0u, lid);
  }
  if (TALL) {
    write_block(sums.s10, b + 4u, o, 1u, lid);
  }
  if (WIDE && TALL) {
    write_block(sums.s11, b + 4u, o + 4u, 1u, lid);
  }
}
