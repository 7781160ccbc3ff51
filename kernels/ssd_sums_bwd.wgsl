// ssd_sums_bwd: what the gradients of dt, A and D need of a chunk and head:
//   sums = sum over p, n of the state before the chunk times the gradient of the state after it
//   partials of D = sum over t of grad_y[t, p] x[t, p], summed over p, too, unless D_HAS_HDIM
// A workgroup of 256 lanes: all go over the state, then over steps and channels, 64 channels at a time with 4 lanes
// each. What lanes have goes through workgroup memory, where it is added up in a fixed order.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override NGROUPS: u32;
override CHUNK: u32;
override D_HAS_HDIM: bool;
override D_INNER: u32 = NHEADS * HEADDIM;
override CONV_DIM: u32 = D_INNER + 2u * NGROUPS * D_STATE;

struct Params {
  seqlen: u32,
  start: u32, // where the sums begin in sums
}

@group(0) @binding(0) var<storage, read> xBC: array<f32>;            // (batch, seqlen, CONV_DIM)
@group(0) @binding(1) var<storage, read> grad_y: array<f32>;         // (batch, seqlen, D_INNER)
@group(0) @binding(2) var<storage, read> ssm_state: array<f32>;      // (batch, chunks + 1, D_INNER, D_STATE)
@group(0) @binding(3) var<storage, read> grad_states: array<f32>;    // (batch, chunks, D_INNER, D_STATE)
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;     // from start on (batch, chunks, NHEADS)
@group(0) @binding(5) var<storage, read_write> partials: array<f32>; // (batch, chunks, NHEADS) or (.., D_INNER)
@group(0) @binding(6) var<uniform> params: Params;

const LANES = 256u;
const CHANNELS = 64u;
var<workgroup> parts: array<vec2<f32>, LANES>;

@compute @workgroup_size(LANES)
fn ssd_sums_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let chunk = wid.y;
  let b = wid.z;
  let part = b * count.y + chunk;
  let steps = min(CHUNK, params.seqlen - chunk * CHUNK);
  let row0 = b * params.seqlen + chunk * CHUNK;
  let before = ((b * (count.y + 1u) + chunk) * NHEADS + h) * HEADDIM * D_STATE;
  let grad_after = (part * NHEADS + h) * HEADDIM * D_STATE;
  var state_sum = 0.0;
  for (var i = lane; i < HEADDIM * D_STATE; i += LANES) {
    state_sum += grad_states[grad_after + i] * ssm_state[before + i];
  }
  var D_sum = 0.0;
  for (var p0 = 0u; p0 < HEADDIM; p0 += CHANNELS) {
    let p = p0 + lane % CHANNELS;
    let d = h * HEADDIM + p;
    var sum = 0.0;
    if (p < HEADDIM) {
      for (var t = lane / CHANNELS; t < steps; t += LANES / CHANNELS) {
        sum += grad_y[(row0 + t) * D_INNER + d] * xBC[(row0 + t) * CONV_DIM + d];
      }
    }
    D_sum += sum;
    if (D_HAS_HDIM) {
      parts[lane].y = sum;
      workgroupBarrier();
      if (lane < CHANNELS && p < HEADDIM) {
        partials[part * D_INNER + d] = (parts[lane].y + parts[lane + CHANNELS].y) +
          (parts[lane + 2u * CHANNELS].y + parts[lane + 3u * CHANNELS].y);
      }
      workgroupBarrier();
    }
  }
  parts[lane] = vec2<f32>(state_sum, D_sum);
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      parts[lane] += parts[lane + half];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    sums[params.start + part * NHEADS + h] = parts[0].x;
    if (!D_HAS_HDIM) {
      partials[part * NHEADS + h] = parts[0].y;
    }
  }
}
