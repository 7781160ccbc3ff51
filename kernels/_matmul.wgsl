// _matmul: the tiles of the matmul kernels, which are 128 x 128 where the kernel says WIDE, and else 64 x 64.
// 256 lanes compute a product a^T b. Slices of 16 values of k go through workgroup memory; a lane keeps 4 x 4 sums in
// each quadrant of the tile, or in the only one, from row lane / 16 * 4 and column lane % 16 * 4 on. The steps over k
// are written out, so that all indices are constants. Goes after _tile.
// The kernel declares WIDE, add_step(sums, k, m4, n4), which adds slice k's product by plus_outers(), and
// write4(first, m, n, sum), which writes columns n to n + 3 of row m, rows being counted from `first` on.
const DEPTH = 16u;
var<workgroup> a_tile: array<array<vec4<f32>, 32>, DEPTH>; // [k][m / 4], 16 of the 32 if not WIDE
var<workgroup> b_tile: array<array<vec4<f32>, 32>, DEPTH>; // [k][n / 4], likewise

// A lane's sums in a tile of 128 x 128, one block a quadrant; in a tile of 64 x 64, s00 is all.
// Column i of a block is its row i.
struct Sums {
  s00: mat4x4<f32>,
  s01: mat4x4<f32>,
  s10: mat4x4<f32>,
  s11: mat4x4<f32>,
}

// sums + the outer products of the upper and lower rows' a with the left and right columns' b.
fn plus_outers(sums: Sums, a0: vec4<f32>, a1: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>) -> Sums {
  var next = sums;
  next.s00 = plus_outer(sums.s00, a0, b0);
  if (WIDE) {
    next.s01 = plus_outer(sums.s01, a0, b1);
    next.s10 = plus_outer(sums.s10, a1, b0);
    next.s11 = plus_outer(sums.s11, a1, b1);
  }
  return next;
}

// Side of a tile, and the number of blocks of 4 along it.
fn tile_side() -> u32 {
  return select(64u, 128u, WIDE);
}

fn tile_blocks() -> u32 {
  return select(16u, 32u, WIDE);
}

// Columns k to k + 3 of four rows of a, as slices k to k + 3 of their block: see swizzled(). Whole vectors, as a write
// to a part of one may touch all of it, and other lanes would have the other parts.
fn store_a_rows(block: u32, k: u32, rows: mat4x4<f32>) {
  let column = swizzled(block, k);
  let by_k = transpose(rows);
  a_tile[k][column] = by_k[0];
  a_tile[k + 1u][column] = by_k[1];
  a_tile[k + 2u][column] = by_k[2];
  a_tile[k + 3u][column] = by_k[3];
}

fn store_b_rows(block: u32, k: u32, rows: mat4x4<f32>) {
  let column = swizzled(block, k);
  let by_k = transpose(rows);
  b_tile[k][column] = by_k[0];
  b_tile[k + 1u][column] = by_k[1];
  b_tile[k + 2u][column] = by_k[2];
  b_tile[k + 3u][column] = by_k[3];
}

// sums + what all slices in workgroup memory give.
fn add_steps(sums: Sums, m4: u32, n4: u32) -> Sums {
  let half = add_4_steps(add_4_steps(sums, 0u, m4, n4), 4u, m4, n4);
  return add_4_steps(add_4_steps(half, 8u, m4, n4), 12u, m4, n4);
}

fn add_4_steps(sums: Sums, k: u32, m4: u32, n4: u32) -> Sums {
  let two = add_step(add_step(sums, k, m4, n4), k + 1u, m4, n4);
  return add_step(add_step(two, k + 2u, m4, n4), k + 3u, m4, n4);
}

// Writes a lane's sums, whose first block begins at row m and column n.
fn write_sums(first: u32, m: u32, n: u32, sums: Sums) {
  write_block(first, m, n, sums.s00);
  if (WIDE) {
    write_block(first, m, n + 64u, sums.s01);
    write_block(first, m + 64u, n, sums.s10);
    write_block(first, m + 64u, n + 64u, sums.s11);
  }
}

fn write_block(first: u32, m: u32, n: u32, block: mat4x4<f32>) {
  write4(first, m, n, block[0]);
  write4(first, m + 1u, n, block[1]);
  write4(first, m + 2u, n, block[2]);
  write4(first, m + 3u, n, block[3]);
}
