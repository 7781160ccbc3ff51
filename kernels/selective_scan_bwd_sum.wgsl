// selective_scan_bwd_sum: adds up the partials of B and C that selective_scan_bwd left, and puts them where x_dbl has
// B and C; the columns of dt_low before them are left as they are.
//   grad_x_dbl[row, DT_RANK + n] = sum_block partials[block, row, n]                 of B
//   grad_x_dbl[row, DT_RANK + D_STATE + n] = sum_block partials[block, row, PADDED + n]    of C
// One lane per row and column, blocks in ascending order, four of them read at a time.
override D_STATE: u32;
override PADDED: u32;  // D_STATE and what fills its last vector of four
override DT_RANK: u32;

struct Params {
  rows: u32,
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<f32>;         // (blocks, rows, 2 PADDED)
@group(0) @binding(1) var<storage, read_write> grad_x_dbl: array<f32>; // (rows, DT_RANK + 2 D_STATE)
@group(0) @binding(2) var<uniform> params: Params;

fn partial(block: u32, i: u32) -> f32 {
  let value = partials[min(block, params.blocks - 1u) * params.rows * 2u * PADDED + i];
  return select(0.0, value, block < params.blocks);
}

@compute @workgroup_size(64)
fn selective_scan_bwd_sum(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                          @builtin(local_invocation_index) lane: u32) {
  let element = (wid.y * count.x + wid.x) * 64u + lane;
  let row = element / (2u * D_STATE);
  let column = element % (2u * D_STATE);
  if (row >= params.rows) {
    return;
  }
  let source = row * 2u * PADDED + select(column, PADDED + column - D_STATE, column >= D_STATE);
  var sum = 0.0;
  for (var block = 0u; block < params.blocks; block += 4u) {
    let four = vec4<f32>(partial(block, source), partial(block + 1u, source), partial(block + 2u, source),
                         partial(block + 3u, source));
    sum = (((sum + four.x) + four.y) + four.z) + four.w;
  }
  grad_x_dbl[row * (DT_RANK + 2u * D_STATE) + DT_RANK + column] = sum;
}
