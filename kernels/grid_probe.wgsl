// grid_probe: whether the workgroups of a dispatch run at the same time, and meet. In each round a workgroup hands a
// number over, meets the others, and reads what all of them have handed over.
// One lane a workgroup counts those that are not as expected; 0 in `result` says that none was.
override LANES: u32;

struct Params {
  rounds: u32,
  patience: u32,
}

@group(0) @binding(0) var<storage, read_write> exchange: array<atomic<u32>>; // see _grid, then (2, workgroups)
@group(0) @binding(1) var<storage, read_write> result: array<atomic<u32>>;   // (1)
@group(0) @binding(2) var<uniform> params: Params;

// What other kernels have as an override: one program serves any number.
var<private> GROUPS: u32;

@compute @workgroup_size(LANES)
fn grid_probe(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
  GROUPS = grid.x;
  patience = params.patience;
  var wrong = 0u;
  for (var round = 0u; round < params.rounds; round++) {
    // In turns in either half: who is a round ahead must not overwrite what others still read.
    let start = 64u + round % 2u * GROUPS;
    if (lane == 0u) {
      atomicStore(&exchange[start + wid.x], round * GROUPS + wid.x);
    }
    meet(lane);
    for (var i = lane; i < GROUPS; i += LANES) {
      wrong += select(0u, 1u, atomicLoad(&exchange[start + i]) != round * GROUPS + i);
    }
  }
  atomicAdd(&result[0], wrong);
}
