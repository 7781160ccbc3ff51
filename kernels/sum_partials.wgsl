// sum_partials: y[i] = sum_p partials[p, i]. ACCUMULATE: y += instead of =.
// A workgroup of 256 lanes has ELEMENTS elements: GROUPS lanes an element take every GROUPS-th part each, four of them
// at a time, and their sums meet in order. Workgroups lie in a grid folded in two, as there may be more than one
// dimension holds.
override ACCUMULATE: bool;
override GROUPS: u32;
override ELEMENTS: u32 = 256u / GROUPS;

struct Params {
  parts: u32,
  size: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;  // (parts, size)
@group(0) @binding(1) var<storage, read_write> y: array<f32>;   // (size)
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> sums: array<f32, 256>; // (GROUPS, ELEMENTS)

fn partial(p: u32, i: u32) -> f32 {
  if (p < params.parts && i < params.size) {
    return partials[p * params.size + i];
  }
  return 0.0;
}

@compute @workgroup_size(ELEMENTS, GROUPS)
fn sum_partials(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                @builtin(local_invocation_id) lid: vec3<u32>) {
  let i = (wid.y * grid.x + wid.x) * ELEMENTS + lid.x;
  var sum = vec4<f32>(0.0);
  for (var p = lid.y; p < params.parts; p += 4u * GROUPS) {
    sum += vec4<f32>(partial(p, i), partial(p + GROUPS, i), partial(p + 2u * GROUPS, i), partial(p + 3u * GROUPS, i));
  }
  sums[lid.y * ELEMENTS + lid.x] = (sum.x + sum.y) + (sum.z + sum.w);
  workgroupBarrier();
  if (lid.y > 0u || i >= params.size) {
    return;
  }
  var total = sums[lid.x];
  for (var group = 1u; group < GROUPS; group++) {
    total += sums[group * ELEMENTS + lid.x];
  }
  if (ACCUMULATE) {
    total += y[i];
  }
  y[i] = total;
}
