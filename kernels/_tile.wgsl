// _tile: what products of matrices share, whatever their tiles: 4 x 4 blocks of sums, and where slices are kept.
// Goes before _matmul and before _ssd. Of a product a^T b, slice k is row k of both a and b.

// sum + the outer product of a and b: row i of a 4 x 4 block is column i of the matrix.
fn plus_outer(sum: mat4x4<f32>, a: vec4<f32>, b: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(sum[0] + a.x * b, sum[1] + a.y * b, sum[2] + a.z * b, sum[3] + a.w * b);
}

// Where column m / 4 of slice k of a tile is, where lanes bring blocks of 4 values of m by 4 of k. The 8 that store a
// vector at once hold 4 values of k / 4 by 2 of m / 4: moved by 2 vectors from one k / 4 to the next, theirs fall in
// different banks. Readers share one k, so for them this is only another order.
fn swizzled(column: u32, k: u32) -> u32 {
  return column ^ (k / 4u * 2u);
}
