// _math: what several kernels share. Prepended to every kernel as text; the only prelude.

const DTYPE_F32 = 0u;
const DTYPE_F16 = 1u;
const DTYPE_BF16 = 2u;
const DTYPE_INT8 = 3u;
const DTYPE_INT4 = 4u;

// Columns of a row of int8 or int4 weights that share a scale.
const QUANT_GROUP = 32u;

// log(1 + exp(v)) without overflow and without losing small results: log(1 + e) in f32 is 1.8e-4 off at v = -8 and zero
// at -20, and a device's log may be 5e-6 off near 1. So no log: log(1 + e) = 2 atanh(z) with z = e / (2 + e), at most
// 1/3, whose series to z^13 is exact to 2e-8.
fn softplus(v: f32) -> f32 {
  let e = exp(-abs(v));
  let z = e / (2.0 + e);
  let s = z * z;
  let tail = 0.14285715 + s * (0.11111111 + s * (0.09090909 + s * 0.07692308));
  return max(v, 0.0) + 2.0 * z * (1.0 + s * (0.33333334 + s * (0.2 + s * tail)));
}

// v * sigmoid(v). exp(-v) overflows to infinity below v = -88, and v / infinity is the right limit, -0.
fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
}

// Four 16-bit weights, in memory order, from two words.
fn unpack_f16(words: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn unpack_bf16(words: vec2<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(
    words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}

// Four int8 weights, in memory order, before their scale.
fn unpack_int8(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xI8(word));
}

// The first four of eight int4 weights, before their scale; of word >> 4, the other four. Byte i holds weights i and
// i + 4, the first in its low half, each moved by 8 to be positive.
fn unpack_int4(word: u32) -> vec4<f32> {
  return vec4<f32>(unpack4xU8(word & 0x0f0f0f0fu)) - 8.0;
}

// Which word of a quantized weight (rows, stride) has a group's scale: f16, the even group in the low half. They follow
// the weights of all rows, and each row's take a multiple of four words.
fn scale_word(dtype: u32, rows: u32, stride: u32, row: u32, group: u32) -> u32 {
  let weights = rows * (stride / select(4u, 8u, dtype == DTYPE_INT4));
  return weights + row * ((stride / QUANT_GROUP + 7u) / 8u * 4u) + group / 2u;
}

// Threefry-2x32 with 20 rounds (Salmon et al. 2011): random bits as a function of key and counter.
fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
  let odd = vec4<u32>(13u, 15u, 26u, 6u);
  let even = vec4<u32>(17u, 29u, 16u, 24u);
  let last = 0x1bd11bdau ^ key.x ^ key.y;
  var x = counter + key;
  x = threefry_rounds(x, odd) + vec2<u32>(key.y, last + 1u);
  x = threefry_rounds(x, even) + vec2<u32>(last, key.x + 2u);
  x = threefry_rounds(x, odd) + vec2<u32>(key.x, key.y + 3u);
  x = threefry_rounds(x, even) + vec2<u32>(key.y, last + 4u);
  return threefry_rounds(x, odd) + vec2<u32>(last, key.x + 5u);
}

fn threefry_rounds(x: vec2<u32>, rotations: vec4<u32>) -> vec2<u32> {
  return threefry_round(
    threefry_round(threefry_round(threefry_round(x, rotations.x), rotations.y), rotations.z), rotations.w);
}

fn threefry_round(x: vec2<u32>, bits: u32) -> vec2<u32> {
  let sum = x.x + x.y;
  return vec2<u32>(sum, ((x.y << bits) | (x.y >> (32u - bits))) ^ sum);
}

// sum + the outer product of a and b: row i of a 4 x 4 block is column i of the matrix.
fn plus_outer(sum: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(sum[0] + a.x * b, sum[1] + a.y * b, sum[2] + a.z * b, sum[3] + a.w * b);
}

// A lane's sums in a tile of 128 x 128, one block a quadrant; in a tile of 64 x 64, s00 is all.
// Column i of a block is its row i.
struct Sums {
  s00: mat4x4<f32>,
  s01: mat4x4<f32>,
  s10: mat4x4<f32>,
  s11: mat4x4<f32>,
}

// sums + the outer products of the upper and lower rows' a with the left and right columns' b.
fn plus_outers(sums: Sums, is_wide: bool, a0: vec4<f32>, a1: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>) -> Sums {
  var next = sums;
  next.s00 = plus_outer(sums.s00, a0, b0);
  if (is_wide) {
    next.s01 = plus_outer(sums.s01, a0, b1);
    next.s10 = plus_outer(sums.s10, a1, b0);
    next.s11 = plus_outer(sums.s11, a1, b1);
  }
  return next;
}

// Where column m / 4 of slice k of a tile is, where lanes bring blocks of 4 values of m by 4 of k. The 8 that store a
// vector at once hold 4 values of k / 4 by 2 of m / 4: moved by 2 vectors from one k / 4 to the next, theirs fall in
// different banks. Readers share one k, so for them this is only another order.
fn swizzled(column: u32, k: u32) -> u32 {
  return column ^ (k / 4u * 2u);
}

// The last 32 values of a sequence, the newest in h.w. Written out: what a loop indexes does not stay in registers.
struct Window {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
  e: vec4<f32>,
  f: vec4<f32>,
  g: vec4<f32>,
  h: vec4<f32>,
}

// The window four steps later.
fn window_slide(w: Window, newest: vec4<f32>) -> Window {
  return Window(w.b, w.c, w.d, w.e, w.f, w.g, w.h, newest);
}

// Four steps of a convolution, by the four weights whose last is for the inputs `late` and the others for older ones.
fn four_taps(weights: vec4<f32>, early: vec4<f32>, late: vec4<f32>) -> vec4<f32> {
  return (weights.w * late + weights.z * vec4<f32>(early.w, late.xyz)) +
    (weights.y * vec4<f32>(early.zw, late.xy) + weights.x * vec4<f32>(early.yzw, late.x));
}

// Four steps of a convolution by the newest 4 vecs weights of v: over w, and over the inputs of the steps themselves.
fn window_steps(w: Window, steps: vec4<f32>, v: Window, vecs: u32) -> vec4<f32> {
  var sum = four_taps(v.h, w.h, steps);
  if (vecs > 1u) {
    sum += four_taps(v.g, w.g, w.h);
  }
  if (vecs > 2u) {
    sum += four_taps(v.f, w.f, w.g) + four_taps(v.e, w.e, w.f);
  }
  if (vecs > 4u) {
    sum += (four_taps(v.d, w.d, w.e) + four_taps(v.c, w.c, w.d)) +
      (four_taps(v.b, w.b, w.c) + four_taps(v.a, w.a, w.b));
  }
  return sum;
}

// What four steps with gradients g give for the weights of four_taps().
fn four_taps_bwd(g: vec4<f32>, early: vec4<f32>, late: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(
    dot(g, vec4<f32>(early.yzw, late.x)), dot(g, vec4<f32>(early.zw, late.xy)),
    dot(g, vec4<f32>(early.w, late.xyz)), dot(g, late));
}

// sum + what four steps with gradients g give for the newest 4 vecs weights of window_steps().
fn window_steps_bwd(sum: Window, g: vec4<f32>, w: Window, steps: vec4<f32>, vecs: u32) -> Window {
  var next = sum;
  next.h += four_taps_bwd(g, w.h, steps);
  if (vecs > 1u) {
    next.g += four_taps_bwd(g, w.g, w.h);
  }
  if (vecs > 2u) {
    next.f += four_taps_bwd(g, w.f, w.g);
    next.e += four_taps_bwd(g, w.e, w.f);
  }
  if (vecs > 4u) {
    next.d += four_taps_bwd(g, w.d, w.e);
    next.c += four_taps_bwd(g, w.c, w.d);
    next.b += four_taps_bwd(g, w.b, w.c);
    next.a += four_taps_bwd(g, w.a, w.b);
  }
  return next;
}
