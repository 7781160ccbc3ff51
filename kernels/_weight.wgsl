// _weight: how kernels unpack weights of fewer than 32 bits. The kernel declares weight (ROWS, W_STRIDE), of vec4<u32>,
// and W_DTYPE.

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

// Which word of a quantized weight has a group's scale: f16, the even group in the low half. They follow the weights of
// all rows, and each row's take a multiple of four words.
fn scale_word(row: u32, group: u32) -> u32 {
  let weights = ROWS * (W_STRIDE / select(4u, 8u, W_DTYPE == DTYPE_INT4));
  return weights + row * ((W_STRIDE / QUANT_GROUP + 7u) / 8u * 4u) + group / 2u;
}

fn scale_at(row: u32, column: u32) -> f32 {
  let group = column / QUANT_GROUP;
  let word = scale_word(row, group);
  return unpack2x16float(weight[word / 4u][word % 4u])[group % 2u];
}
