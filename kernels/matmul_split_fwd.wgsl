// matmul_split_fwd: what matmul_fwd computes, for results of so few tiles that it would leave a device idle. 256 lanes
// compute a tile, and each element's sum is split over groups of lanes, which take 16 columns of x and weight in turn:
// a tile of 32 x 32 over four groups of 64 lanes, which keep 4 x 4 sums each, or, where it is WIDE, one of 64 x 64 over
// two groups of 128 lanes, which keep two blocks of 4 x 4. The groups' sums meet in order at the end.
// With PARTS of the columns y is (PARTS, rows, ROWS), and each part's sums are for sum_partials to add up.
// Goes after _linear and _tile.
override D_IN: u32;
override W_STRIDE: u32;    // elements from row to row of weight, a multiple of 8 or of QUANT_GROUP; zeros beyond D_IN
override W_DTYPE: u32;
override ROW_START: u32;
override ROWS: u32;
override X_ALIGNED: bool;  // D_IN, ld_x and x_offset are multiples of 4
override Y_ALIGNED: bool;  // ROWS, ROW_START and ld_y are multiples of 4
override BIAS: bool;
override RESIDUAL: bool;
override PARTS: u32;       // 1, or where neither BIAS nor RESIDUAL is
override WIDE: bool;
override GROUPS: u32 = select(4u, 2u, WIDE);
override OWN: u32 = 256u / GROUPS;            // lanes of a group
override STEP: u32 = 16u * GROUPS;            // columns that all groups take at a time
override BLOCKS: u32 = select(8u, 16u, WIDE); // of 4 along a tile's side
override WHOLE: bool = D_IN % STEP == 0u;     // whether all groups have the last columns

struct Params {
  rows: u32,
  ld_x: u32,
  x_offset: u32,
  ld_y: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;       // (rows, D_IN) at stride ld_x
@group(0) @binding(1) var<storage, read> weight: array<vec4<u32>>;  // (ROWS, W_STRIDE), packed, then scales
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;    // (all rows of weight)
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>; // (rows, all rows of weight) at stride ld_y
@group(0) @binding(4) var<storage, read_write> y_elements: array<f32>; // the same, if not Y_ALIGNED: see write1()
@group(0) @binding(5) var<uniform> params: Params;

const DEPTH = 16u; // columns that a group takes at a time
const PART = 8u;   // such steps, whose terms are added up apart from others: a long sum's vanish beside it

// Slices [k][m / 4] and [k][o / 4], permuted by k: see swizzled(). Of 32 x 32, two groups' lie side by side. 16 KiB,
// what any device has.
var<workgroup> a_tile: array<array<array<vec4<f32>, 16>, DEPTH>, 2>;
var<workgroup> b_tile: array<array<array<vec4<f32>, 16>, DEPTH>, 2>;

// The sums of a lane: in the upper and, where it is WIDE, in the lower half of the tile.
struct Sums {
  upper: mat4x4<f32>,
  lower: mat4x4<f32>,
}

// Which of the two arrays a group's slices are in, and at which vector they begin there.
fn half_of(group: u32) -> u32 {
  return select(group / 2u, group, WIDE);
}

fn column_of(group: u32) -> u32 {
  return select(group % 2u * 8u, 0u, WIDE);
}

// Where the four rows begin of which a lane brings 4 columns of its group's slice: the first lanes have x's, the others
// the weight's.
fn starts_of(m0: u32, o0: u32, own: u32) -> vec4<u32> {
  let rows = own / 4u % BLOCKS * 4u + vec4<u32>(0u, 1u, 2u, 3u);
  if (own < OWN / 2u) {
    return x_starts(m0 + rows);
  }
  return weight_starts(o0 + rows);
}

fn load(starts: vec4<u32>, k: u32, own: u32) -> mat4x4<f32> {
  if (own < OWN / 2u) {
    return mat4x4<f32>(x_at(starts.x, k), x_at(starts.y, k), x_at(starts.z, k), x_at(starts.w, k));
  }
  return mat4x4<f32>(weight_at(starts.x, k), weight_at(starts.y, k), weight_at(starts.z, k), weight_at(starts.w, k));
}

fn store(slice: mat4x4<f32>, group: u32, own: u32) {
  let k = own % 4u * 4u;
  let half = half_of(group);
  let column = column_of(group) + swizzled(own / 4u % BLOCKS, k);
  let by_k = transpose(slice);
  if (own < OWN / 2u) {
    a_tile[half][k][column] = by_k[0];
    a_tile[half][k + 1u][column] = by_k[1];
    a_tile[half][k + 2u][column] = by_k[2];
    a_tile[half][k + 3u][column] = by_k[3];
  } else {
    b_tile[half][k][column] = by_k[0];
    b_tile[half][k + 1u][column] = by_k[1];
    b_tile[half][k + 2u][column] = by_k[2];
    b_tile[half][k + 3u][column] = by_k[3];
  }
}

fn add_step(sums: Sums, half: u32, k: u32, a: u32, b: u32) -> Sums {
  let columns = b_tile[half][k][b];
  var next = sums;
  next.upper = plus_outer(sums.upper, a_tile[half][k][a], columns);
  if (WIDE) {
    next.lower = plus_outer(sums.lower, a_tile[half][k][a + 8u], columns);
  }
  return next;
}

fn add_4_steps(sums: Sums, group: u32, k: u32, m4: u32, o4: u32) -> Sums {
  let half = half_of(group);
  let a = column_of(group) + swizzled(m4, k);
  let b = column_of(group) + swizzled(o4, k);
  let two = add_step(add_step(sums, half, k, a, b), half, k + 1u, a, b);
  return add_step(add_step(two, half, k + 2u, a, b), half, k + 3u, a, b);
}

// What lane `own` of a group has of column i of a block, and where that lies while groups' sums meet: half of the
// groups have either tile.
fn put(group: u32, i: u32, own: u32, value: vec4<f32>) {
  let at = (group % (GROUPS / 2u) * 4u + i) * OWN + own;
  if (group < GROUPS / 2u) {
    a_tile[at / 256u][at / 16u % 16u][at % 16u] = value;
  } else {
    b_tile[at / 256u][at / 16u % 16u][at % 16u] = value;
  }
}

fn total_of(i: u32, own: u32) -> vec4<f32> {
  let at = i * OWN + own;
  let row = at / 16u % 16u;
  let two = a_tile[at / 256u][row][at % 16u];
  let others = b_tile[at / 256u][row][at % 16u];
  if (WIDE) {
    return two + others;
  }
  return (two + a_tile[1][row][at % 16u]) + (others + b_tile[1][row][at % 16u]);
}

// Writes a block of all groups' sums, whose first row is m; each group has some of its rows.
fn write_block(first: u32, m: u32, o: u32, group: u32, own: u32, block: mat4x4<f32>) {
  workgroupBarrier();
  put(group, 0u, own, block[0]);
  put(group, 1u, own, block[1]);
  put(group, 2u, own, block[2]);
  put(group, 3u, own, block[3]);
  workgroupBarrier();
  write4(first, m + group, o, total_of(group, own));
  if (WIDE) {
    write4(first, m + group + 2u, o, total_of(group + 2u, own));
  }
}

@compute @workgroup_size(256)
fn matmul_split_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let o0 = wid.x * BLOCKS * 4u;
  let m0 = wid.y * BLOCKS * 4u;
  let group = lane / OWN;
  let own = lane % OWN;
  let o4 = own % BLOCKS;
  let m4 = own / BLOCKS;
  let own_k = group * DEPTH + own % 4u * 4u;
  var sums = Sums();
  var earlier = Sums();
  let steps = (D_IN + STEP - 1u) / STEP;
  let begin = wid.z * ((steps + PARTS - 1u) / PARTS) * STEP;
  let end = min(D_IN, begin + (steps + PARTS - 1u) / PARTS * STEP);
  let starts = starts_of(m0, o0, own);
  var slice = load(starts, begin + own_k, own);
  for (var k0 = begin; k0 < end; k0 += STEP) {
    store(slice, group, own);
    workgroupBarrier();
    if (k0 + STEP < end) {
      slice = load(starts, k0 + STEP + own_k, own);
    }
    sums = add_4_steps(add_4_steps(sums, group, 0u, m4, o4), group, 4u, m4, o4);
    sums = add_4_steps(add_4_steps(sums, group, 8u, m4, o4), group, 12u, m4, o4);
    if (k0 / STEP % PART == PART - 1u) {
      earlier = Sums(earlier.upper + sums.upper, earlier.lower + sums.lower);
      sums = Sums();
    }
    workgroupBarrier();
  }
  sums = Sums(earlier.upper + sums.upper, earlier.lower + sums.lower);
  let m = m0 + m4 * 4u;
  let o = o0 + o4 * 4u;
  write_block(wid.z * params.rows, m, o, group, own, sums.upper);
  if (WIDE) {
    write_block(wid.z * params.rows, m + 32u, o, group, own, sums.lower);
  }
}
