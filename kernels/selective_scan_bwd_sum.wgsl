// selective_scan_bwd_sum: adds up the partials of B and C that selective_scan_bwd left, and puts them where x_dbl has
// B and C; the columns of dt_low before them are left as they are.
//   grad_x_dbl[row, DT_RANK + j] = sum_block partials[block, row, j]
// One lane per row and column, blocks in ascending order.
override WIDTH: u32; // 2 d_state
override DT_RANK: u32;

struct Params {
  rows: u32,
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;         // (blocks, rows, WIDTH)
@group(0) @binding(1) var<storage, read_write> grad_x_dbl: array<f32>; // (rows, DT_RANK + WIDTH)
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn selective_scan_bwd_sum(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                          @builtin(local_invocation_index) lane: u32) {
  let element = (wid.y * count.x + wid.x) * 64u + lane;
  let size = params.rows * WIDTH;
  if (element >= size) {
    return;
  }
  var sum = 0.0;
  for (var block = 0u; block < params.blocks; block++) {
    sum += partials[block * size + element];
  }
  grad_x_dbl[element / WIDTH * (DT_RANK + WIDTH) + DT_RANK + element % WIDTH] = sum;
}
