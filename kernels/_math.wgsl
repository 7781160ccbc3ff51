// _math: functions of numbers alone, which kernels of every family share. Prepended to every kernel as text.

const DTYPE_F32 = 0u;
const DTYPE_F16 = 1u;
const DTYPE_BF16 = 2u;
const DTYPE_INT8 = 3u;
const DTYPE_INT4 = 4u;

// Columns of a row of int8 or int4 weights that share a scale.
const QUANT_GROUP = 32u;

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

// 1 / (1 + exp(-v)): 0 where exp(-v) is infinite, below v = -88.
fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-v));
}

// v * sigmoid(v). exp(-v) overflows to infinity below v = -88, and v / infinity is the right limit, -0.
fn silu(v: f32) -> f32 {
  return v / (1.0 + exp(-v));
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

// High word of the 64-bit product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

// Bits that compare as unsigned numbers the way the floats do.
fn order_key(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, bits >> 31u == 1u);
}
