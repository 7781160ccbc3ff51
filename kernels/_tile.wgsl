// _tile: what products of matrices share, whatever their tiles: 4 x 4 blocks of sums, and where slices are kept.
// Goes before _matmul and before _ssd. Of a product a^T b, slice k is row k of both a and b.

// sum + the outer product of a and b: row i of a 4 x 4 block is column i of the matrix. By fma(), which no compiler
// rounds otherwise in one tile than in another.
fn plus_outer(sum: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(fma(a.xxxx, b, sum[0]), fma(a.yyyy, b, sum[1]), fma(a.zzzz, b, sum[2]), fma(a.wwww, b, sum[3]));
}

// Where column m / 4 of slice k of a tile is, where lanes bring blocks of 4 values of m by 4 of k. The 8 that store a
// vector at once hold 4 values of k / 4 by 2 of m / 4: moved by 2 vectors from one k / 4 to the next, theirs fall in
// different banks. Readers share one k, so for them this is only another order.
fn swizzled(column: u32, k: u32) -> u32 {
  return column ^ (k / 4u * 2u);
}
