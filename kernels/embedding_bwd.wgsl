// embedding_bwd: grad_weight[v] = sum over the rows whose id is v of grad_y[row], in the rows' order.
//   ACCUMULATE: grad_weight += instead of =, for a table that is the head's weight too, and for gradients in pieces.
// One workgroup per v, 256 columns and part of the rows: it looks through the part's ids 256 at a time, notes in a
// bitmap which are v, and each lane adds those rows of its column. No float is shared, so no order is left to chance.
// Several parts write (parts, VOCAB_SIZE, W_STRIDE) for sum_partials: few ids would keep few workgroups busy.
override D_MODEL: u32;
override W_STRIDE: u32;   // elements from row to row of grad_weight; those past D_MODEL are set to 0
override VOCAB_SIZE: u32;
override ACCUMULATE: bool;

struct Params {
  rows: u32,
  rows_per_part: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;                // (rows)
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;             // (rows, D_MODEL)
@group(0) @binding(2) var<storage, read_write> grad_weight: array<f32>;  // (parts, VOCAB_SIZE, W_STRIDE)
@group(0) @binding(3) var<uniform> params: Params;

const LANES = 256u;
const WORDS = LANES / 32u;

var<workgroup> found: array<atomic<u32>, WORDS>;

@compute @workgroup_size(LANES)
fn embedding_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                 @builtin(local_invocation_index) lane: u32) {
  let chunks = (W_STRIDE + LANES - 1u) / LANES;
  let v = wid.x + wid.y * grid.x;
  let part = wid.z / chunks;
  let d = wid.z % chunks * LANES + lane;
  let first = part * params.rows_per_part;
  let end = min(params.rows, first + params.rows_per_part);
  var sum = 0.0;
  for (var block = first; block < end; block += LANES) {
    if (lane < WORDS) {
      atomicStore(&found[lane], 0u);
    }
    workgroupBarrier();
    if (block + lane < end && ids[block + lane] == v) {
      atomicOr(&found[lane / 32u], 1u << (lane % 32u));
    }
    workgroupBarrier();
    if (d < D_MODEL) {
      for (var word = 0u; word < WORDS; word++) {
        for (var bits = atomicLoad(&found[word]); bits != 0u; bits &= bits - 1u) {
          let row = block + word * 32u + firstTrailingBit(bits);
          sum += grad_y[row * D_MODEL + d];
        }
      }
    }
    workgroupBarrier();
  }
  if (v < VOCAB_SIZE && d < W_STRIDE) {
    let element = (part * VOCAB_SIZE + v) * W_STRIDE + d;
    if (ACCUMULATE) {
      sum += grad_weight[element];
    }
    grad_weight[element] = sum;
  }
}
