// _ssd: a 64 x 64 tile of a matrix product, which the kernels of Mamba-2's chunks share, and how they load and store.
// 256 lanes compute a product a^T b. Of 16 values of k at a time, slices a[k] and b[k] of 64 elements each lie in
// workgroup memory, and lane l adds up the 4 x 4 block at rows l / 16 * 4 and columns l % 16 * 4 of the tile. WGSL
// takes no pointer to workgroup memory as an argument, so that this is declared here. Goes after _tile.
// The kernel declares xBC, CONV_DIM, write1(i, value), which stores one element, and ALIGNED, for rows that begin at,
// and have, multiples of 4 elements.
const TILE = 64u;
const LANES = 256u;
const DEPTH = 16u;
const STRIDE = 16u; // vec4s from one k to the next
const BLOCKS = 64u; // of 4 x 4 elements in a tile: a lane stores one, see store_a()
var<workgroup> a_tile: array<vec4<f32>, DEPTH * STRIDE>; // see place()
var<workgroup> b_tile: array<vec4<f32>, DEPTH * STRIDE>;

// Where elements 4 column to 4 column + 3 of slice k are.
fn place(column: u32, k: u32) -> u32 {
  return k * STRIDE + swizzled(column, k);
}

// Elements m to m + 3 of slices k to k + 3, from those four rows; m and k are multiples of 4. A lane stores whole
// vec4s: a write to one component may write all, so that lanes that share a vec4 could undo each other's. 8 lanes store
// at once, of 4 values of k and 2 neighbouring m / 4: place() puts them in 8 different groups of 4 banks.
fn store_a(m: u32, k: u32, rows: mat4x4<f32>) {
  let at = place(m / 4u, k);
  let slices = transpose(rows);
  a_tile[at] = slices[0];
  a_tile[at + STRIDE] = slices[1];
  a_tile[at + 2u * STRIDE] = slices[2];
  a_tile[at + 3u * STRIDE] = slices[3];
}

fn store_b(m: u32, k: u32, rows: mat4x4<f32>) {
  let at = place(m / 4u, k);
  let slices = transpose(rows);
  b_tile[at] = slices[0];
  b_tile[at + STRIDE] = slices[1];
  b_tile[at + 2u * STRIDE] = slices[2];
  b_tile[at + 3u * STRIDE] = slices[3];
}

// The lane's block, with what all slices add to it. Written out, so that all indices but the lane's are constants.
fn add_slices(block: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
  let half = add_4_slices(add_4_slices(block, 0u, lane), 4u, lane);
  return add_4_slices(add_4_slices(half, 8u, lane), 12u, lane);
}

fn add_4_slices(block: mat4x4<f32>, k: u32, lane: u32) -> mat4x4<f32> {
  let two = add_slice(add_slice(block, k, lane), k + 1u, lane);
  return add_slice(add_slice(two, k + 2u, lane), k + 3u, lane);
}

fn add_slice(block: mat4x4<f32>, k: u32, lane: u32) -> mat4x4<f32> {
  return plus_outer(block, a_tile[place(lane / 16u, k)], b_tile[place(lane % 16u, k)]);
}

// How many of the elements from i on are before end, none if not is_row.
fn left(i: u32, end: u32, is_row: bool) -> u32 {
  return select(0u, end - min(i, end), is_row);
}

// The same of rows m to m + 3, of which those before `rows` are there.
fn left_of_rows(i: u32, end: u32, m: u32, rows: u32) -> vec4<u32> {
  let is_row = vec4<u32>(m, m + 1u, m + 2u, m + 3u) < vec4<u32>(rows);
  return select(vec4<u32>(0u), vec4<u32>(left(i, end, true)), is_row);
}

// Which vec4s of an array hold the four elements from i on, of which the first `count` are wanted: none past those.
fn vec4s_of(i: u32, count: u32) -> vec2<u32> {
  return select(vec2<u32>(0u), vec2<u32>(i, i + min(count, 4u) - 1u) / 4u, count > 0u);
}

// The four elements from i on, from these vec4s: zeros where not wanted; of ALIGNED rows, all four or none.
fn four_of(first: vec4<f32>, last: vec4<f32>, i: u32, count: u32) -> vec4<f32> {
  if (ALIGNED) {
    return select(vec4<f32>(0.0), first, count > 0u);
  }
  let by_two = (i & 2u) != 0u;
  let even = select(first, vec4<f32>(first.zw, last.xy), by_two);
  let four = select(even, vec4<f32>(even.yzw, select(last.x, last.z, by_two)), (i & 1u) != 0u);
  return select(vec4<f32>(0.0), four, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(count));
}

// exp(sum[t] - sum[s]) of two steps' decays: see ssd_decays.
fn decay(s: vec4<f32>, t: vec4<f32>) -> f32 {
  return exp((t.y - s.y) + (t.z - s.z));
}

// Four elements of xBC from i on, of which the first `count` are wanted.
fn xBC4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(xBC[at.x], xBC[at.y], i, count);
}

// Four of each of four rows, the first's from i on.
fn xBC_rows(i: u32, counts: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(xBC4(i, counts.x), xBC4(i + CONV_DIM, counts.y),
                     xBC4(i + 2u * CONV_DIM, counts.z), xBC4(i + 3u * CONV_DIM, counts.w));
}

// Stores the first `count` of four elements, each by itself: lanes may share a vec4 where rows are no multiples of 4,
// and a write to one component may write all.
fn write_elements(i: u32, count: u32, values: vec4<f32>) {
  if (count > 0u) {
    write1(i, values.x);
  }
  if (count > 1u) {
    write1(i + 1u, values.y);
  }
  if (count > 2u) {
    write1(i + 2u, values.z);
  }
  if (count > 3u) {
    write1(i + 3u, values.w);
  }
}
