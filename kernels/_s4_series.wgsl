// _s4_series: where the table of a chunk has its rows, for both directions of s4_series.
// The kernel declares C, table, D_MODEL, PAIRS and CHUNK.

fn O_row(t: u32) -> u32 {
  return CHUNK + t * 2u * PAIRS;
}

// The row of Abar^l b.
fn R_row(l: u32) -> u32 {
  return CHUNK + (2u * CHUNK - 1u - l) * 2u * PAIRS;
}

fn E_row() -> u32 {
  return CHUNK + 4u * CHUNK * PAIRS;
}

fn C_at(n: u32, d: u32) -> vec2<f32> {
  return output_row(vec2<f32>(C[2u * n * D_MODEL + d], C[(2u * n + 1u) * D_MODEL + d]));
}

fn table_at(start: u32, n: u32, d: u32) -> vec2<f32> {
  let row = start + 2u * n;
  return vec2<f32>(table[row * D_MODEL + d], table[(row + 1u) * D_MODEL + d]);
}

// O[t - 1], and before the first C.
fn before(t: u32, n: u32, d: u32) -> vec2<f32> {
  if (t == 0u) {
    return C_at(n, d);
  }
  return table_at(O_row(t - 1u), n, d);
}
