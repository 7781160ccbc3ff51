// _step: the weights of whole steps, wherever they lie.
// The kernel declares weights_0, weights_1 and weights_2 (vec4<u32>), W_DTYPE, ARENAS, LAYERS_0, LAYERS_1, FIRST_LAYER
// and LAYER_VECS.

struct Matrix {
  at: vec2<u32>, // which buffer, and the vec4 where it begins
  rows: u32,     // all of them: the scales of quantized ones follow
  columns: u32,
  dtype: u32,
}

fn load(at: vec2<u32>, i: u32) -> vec4<u32> {
  if (ARENAS > 1u && at.x == 1u) {
    return weights_1[at.y + i];
  }
  if (ARENAS > 2u && at.x == 2u) {
    return weights_2[at.y + i];
  }
  return weights_0[at.y + i];
}

fn load_word(at: vec2<u32>, i: u32) -> u32 {
  if (ARENAS > 1u && at.x == 1u) {
    return weights_1[at.y + i / 4u][i % 4u];
  }
  if (ARENAS > 2u && at.x == 2u) {
    return weights_2[at.y + i / 4u][i % 4u];
  }
  return weights_0[at.y + i / 4u][i % 4u];
}

// Element i of a vector.
fn element(at: vec2<u32>, i: u32) -> f32 {
  return bitcast<f32>(load_word(at, i));
}

fn layer_at(layer: u32) -> vec2<u32> {
  let rest = layer - LAYERS_0;
  let other = vec2<u32>(1u + rest / LAYERS_1, rest % LAYERS_1 * LAYER_VECS);
  return select(other, vec2<u32>(0u, FIRST_LAYER + layer * LAYER_VECS), layer < LAYERS_0);
}

fn chunk_columns(dtype: u32) -> u32 {
  if (dtype == DTYPE_F32) {
    return 4u;
  }
  return select(select(8u, 16u, dtype == DTYPE_INT8), 32u, dtype == DTYPE_INT4);
}

// Chunks of a row, with the zeros that it is padded with.
fn row_chunks(columns: u32, dtype: u32) -> u32 {
  let step = select(8u, 32u, dtype >= DTYPE_INT8);
  return (columns + step - 1u) / step * step / chunk_columns(dtype);
}

// Scales of a row take a multiple of four words.
fn scale_words(columns: u32) -> u32 {
  let groups = (columns + QUANT_GROUP - 1u) / QUANT_GROUP;
  return (groups + 7u) / 8u * 4u;
}

// A scale of two in a word.
fn scale_of(word: u32, group: u32) -> f32 {
  return unpack2x16float(word)[group % 2u];
}

// What is loaded for four columns of a row.
struct Quad {
  words: vec4<u32>,
  scale: u32,
}

// Columns 4 quad to 4 quad + 3.
fn load_quad(m: Matrix, row: u32, quad: u32) -> Quad {
  let columns = chunk_columns(m.dtype);
  let chunk = quad * 4u / columns;
  let chunks = row_chunks(m.columns, m.dtype);
  var q = Quad(load(m.at, row * chunks + chunk), 0u);
  if (m.dtype >= DTYPE_INT8) {
    let scales = m.rows * chunks * 4u + row * scale_words(m.columns);
    q.scale = load_word(m.at, scales + quad * 4u / QUANT_GROUP / 2u);
  }
  return q;
}

// Before the scale.
fn unpack_quad(dtype: u32, words: vec4<u32>, quad: u32) -> vec4<f32> {
  if (dtype == DTYPE_F32) {
    return bitcast<vec4<f32>>(words);
  }
  if (dtype == DTYPE_INT8) {
    return unpack_int8(words[quad % 4u]);
  }
  if (dtype == DTYPE_INT4) {
    return unpack_int4(words[quad / 2u % 4u] >> (quad % 2u * 4u));
  }
  let half = select(words.xy, words.zw, quad % 2u == 1u);
  if (dtype == DTYPE_F16) {
    return unpack_f16(half);
  }
  return unpack_bf16(half);
}

fn quad_at(m: Matrix, row: u32, quad: u32) -> vec4<f32> {
  let q = load_quad(m, row, quad);
  let values = unpack_quad(m.dtype, q.words, quad);
  if (m.dtype >= DTYPE_INT8) {
    return scale_of(q.scale, quad * 4u / QUANT_GROUP) * values;
  }
  return values;
}
