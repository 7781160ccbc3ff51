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

// Of four chunks, what each adds to a state and what it leaves of it.
struct Four {
  added: vec4<f32>,
  decay: vec4<f32>,
}

// Any values past the last chunk.
fn four_at(b: u32, first: u32, chunks: u32, state: u32, A: f32) -> Four {
  let chunk = b * chunks + min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(chunks - 1u));
  let i = chunk * D_INNER * D_STATE + state;
  let j = params.sum_start + chunk * D_INNER + state / D_STATE;
  let added = vec4<f32>(chunk_states[i.x], chunk_states[i.y], chunk_states[i.z], chunk_states[i.w]);
  let dt = vec4<f32>(chunk_states[j.x], chunk_states[j.y], chunk_states[j.z], chunk_states[j.w]);
  return Four(added, exp2(A * dt));
}

// Writes the state before a chunk, and gives that after it.
fn pass_one(b: u32, chunk: u32, chunks: u32, state: u32, h: f32, added: f32, decay: f32) -> f32 {
  if (chunk >= chunks) {
    return h;
  }
  chunk_states[(b * chunks + chunk) * D_INNER * D_STATE + state] = h;
  return decay * h + added;
}

fn pass_four(b: u32, first: u32, chunks: u32, state: u32, before: f32, four: Four) -> f32 {
  var h = pass_one(b, first, chunks, state, before, four.added.x, four.decay.x);
  h = pass_one(b, first + 1u, chunks, state, h, four.added.y, four.decay.y);
  h = pass_one(b, first + 2u, chunks, state, h, four.added.z, four.decay.z);
  return pass_one(b, first + 3u, chunks, state, h, four.added.w, four.decay.w);
}

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
    let left = four_at(gid.y, first, chunks, gid.x, A);
    let right = four_at(gid.y, first + 4u, chunks, gid.x, A);
    h = pass_four(gid.y, first, chunks, gid.x, h, left);
    h = pass_four(gid.y, first + 4u, chunks, gid.x, h, right);
  }
  ssm_state[state] = h;
}
