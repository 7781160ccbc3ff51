// _weight: where the scales of quantized weights lie. The kernel declares weight (ROWS, W_STRIDE), of vec4<u32>, and
// W_DTYPE.

// Fours of columns in a chunk, which is what 16 bytes hold.
fn chunk_quads() -> u32 {
  if (W_DTYPE == DTYPE_F32) {
    return 1u;
  }
  return select(select(2u, 4u, W_DTYPE == DTYPE_INT8), 8u, W_DTYPE == DTYPE_INT4);
}

fn is_quantized() -> bool {
  return W_DTYPE == DTYPE_INT8 || W_DTYPE == DTYPE_INT4;
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
