// column_sum: partials[part, o] = sum_m x[m, o] over the part's rows m: the gradient of a bias, before sum_partials.
//   Row m of x starts at m * ld_x. Part p has rows p * rows_per_part on.
// A workgroup of 256 lanes has 32 columns of one part: 8 lanes a column take every eighth row each, four of them at a
// time, and their sums meet in order.
override COLUMNS: u32;

struct Params {
  rows: u32,
  ld_x: u32,
  rows_per_part: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;              // (rows, COLUMNS) at stride ld_x
@group(0) @binding(1) var<storage, read_write> partials: array<f32>; // (parts, COLUMNS)
@group(0) @binding(2) var<uniform> params: Params;

const ELEMENTS = 32u;
const GROUPS = 8u;
var<workgroup> sums: array<array<f32, ELEMENTS>, GROUPS>;

fn element(m: u32, end: u32, o: u32) -> f32 {
  if (m < end && o < COLUMNS) {
    return x[m * params.ld_x + o];
  }
  return 0.0;
}

@compute @workgroup_size(ELEMENTS, GROUPS)
fn column_sum(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  let o = wid.x * ELEMENTS + lid.x;
  let start = wid.y * params.rows_per_part;
  let end = min(start + params.rows_per_part, params.rows);
  var sum = vec4<f32>(0.0);
  for (var m = start + lid.y; m < end; m += 4u * GROUPS) {
    sum += vec4<f32>(element(m, end, o), element(m + GROUPS, end, o), element(m + 2u * GROUPS, end, o),
                     element(m + 3u * GROUPS, end, o));
  }
  sums[lid.y][lid.x] = (sum.x + sum.y) + (sum.z + sum.w);
  workgroupBarrier();
  if (lid.y > 0u || o >= COLUMNS) {
    return;
  }
  var total = sums[0][lid.x];
  for (var group = 1u; group < GROUPS; group++) {
    total += sums[group][lid.x];
  }
  partials[wid.y * COLUMNS + o] = total;
}
