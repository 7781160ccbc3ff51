// selective_scan_pass: the state before each chunk of the Mamba-1 recurrence, in the place of what the chunk adds to it
// (see selective_scan_chunks), and the state after the last one. A lane has one state of one channel. Chunks are read
// AT_ONCE before any is written: loads do not pass stores, and each would be waited for.
override D_INNER: u32;
override D_STATE: u32;
override CHUNK: u32;

struct Params {
  seqlen: u32,
  sum_start: u32, // where the sums of dt (batch, chunks, D_INNER) begin in chunk_states
}

@group(0) @binding(0) var<storage, read> A_log: array<f32>;              // (D_INNER, D_STATE)
@group(0) @binding(1) var<storage, read_write> chunk_states: array<f32>; // (batch, chunks, D_INNER, D_STATE); the sums
@group(0) @binding(2) var<storage, read_write> ssm_state: array<f32>;    // (batch, D_INNER, D_STATE)
@group(0) @binding(3) var<uniform> params: Params;

const LOG2_E = 1.442695;
const AT_ONCE = 8u;

@compute @workgroup_size(64)
fn selective_scan_pass(@builtin(global_invocation_id) gid: vec3<u32>) {
  let size = D_INNER * D_STATE;
  if (gid.x >= size) {
    return;
  }
  let chunks = (params.seqlen + CHUNK - 1u) / CHUNK;
  // Finite, for a chunk's sum may be 0.
  let A = max(-3.4e38, -LOG2_E * exp(A_log[gid.x]));
  let state = gid.y * size + gid.x;
  var h = ssm_state[state];
  for (var first = 0u; first < chunks; first += AT_ONCE) {
    var added: array<f32, AT_ONCE>;
    var decay: array<f32, AT_ONCE>;
    for (var k = 0u; k < AT_ONCE; k++) {
      let chunk = gid.y * chunks + min(first + k, chunks - 1u);
      added[k] = chunk_states[chunk * size + gid.x];
      decay[k] = exp2(A * chunk_states[params.sum_start + chunk * D_INNER + gid.x / D_STATE]);
    }
    for (var k = 0u; k < AT_ONCE; k++) {
      if (first + k < chunks) {
        chunk_states[(gid.y * chunks + first + k) * size + gid.x] = h;
        h = decay[k] * h + added[k];
      }
    }
  }
  ssm_state[state] = h;
}
