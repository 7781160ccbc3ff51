// embedding_fwd: y[row] = weight[ids[row]], and the ids are noted as seen (for the repetition penalty).
//   row = b * seqlen + t; a weight may be split by rows over several buffers: this dispatch serves the ids in
//   [ROW_START, ROW_START + ROWS) and leaves other rows of y alone.
// One lane per 8 columns of a row. Rows are folded over y and z, since a dimension holds 65535 workgroups.
override D_MODEL: u32;
override W_STRIDE: u32;   // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override SEEN_WORDS: u32; // words of a batch entry's bitmap in seen; 0 to note nothing

struct Params {
  rows: u32,
  seqlen: u32,
}

@group(0) @binding(0) var<storage, read_write> ids: array<u32>;           // (batch, seqlen), only read
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;        // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(2) var<storage, read_write> seen: array<atomic<u32>>;  // (batch, SEEN_WORDS)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;             // (batch, seqlen, D_MODEL)
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn embedding_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                 @builtin(local_invocation_index) lane: u32) {
  let row = wid.y + wid.z * grid.y;
  let chunk = wid.x * 64u + lane;
  if (row >= params.rows || chunk * 8u >= D_MODEL) {
    return;
  }
  let id = ids[row];
  if (id < ROW_START || id >= ROW_START + ROWS) {
    return;
  }
  if (SEEN_WORDS > 0u && chunk == 0u) {
    atomicOr(&seen[(row / params.seqlen) * SEEN_WORDS + id / 32u], 1u << (id % 32u));
  }
  let column = chunk * 8u;
  let element = (id - ROW_START) * W_STRIDE + column;
  var low: vec4<f32>;
  var high: vec4<f32>;
  if (W_DTYPE == DTYPE_F32) {
    low = bitcast<vec4<f32>>(weight[element / 4u]);
    high = bitcast<vec4<f32>>(weight[element / 4u + 1u]);
  } else if (W_DTYPE == DTYPE_INT8) {
    let scale = scale_at(id - ROW_START, column);
    let words = weight[element / 16u];
    let half = select(words.xy, words.zw, element % 16u == 8u);
    low = scale * unpack_int8(half.x);
    high = scale * unpack_int8(half.y);
  } else if (W_DTYPE == DTYPE_INT4) {
    let scale = scale_at(id - ROW_START, column);
    let word = weight[element / 32u][element / 8u % 4u];
    low = scale * unpack_int4(word);
    high = scale * unpack_int4(word >> 4u);
  } else {
    let words = weight[element / 8u];
    if (W_DTYPE == DTYPE_F16) {
      low = unpack_f16(words.xy);
      high = unpack_f16(words.zw);
    } else {
      low = unpack_bf16(words.xy);
      high = unpack_bf16(words.zw);
    }
  }
  let columns = min(8u, D_MODEL - column);
  let start = row * D_MODEL + column;
  for (var i = 0u; i < columns; i++) {
    y[start + i] = select(high[i % 4u], low[i % 4u], i < 4u);
  }
}
