// mamba3_skip: what the output of Mamba-3 lacks after the kernels of Mamba-2's chunks, within each step: they let a
// rank's output see what ranks up to its own brought, with what the next step adds to it. It sees those of all ranks,
// without that:
//   y[t, r] += sum over r' of c (k[t, r'] . q[t, r]) v[t, r']     c = -delta[t+1] where r' <= r, else gamma[t]
// A lane per channel of a step and rank.
override NHEADS: u32;
override HEADDIM: u32;
override D_STATE: u32;
override RANK: u32;
override CHUNK: u32;     // a multiple of RANK
override D_INNER: u32 = NHEADS * HEADDIM;
override D_VKQ: u32 = D_INNER + 2u * NHEADS * D_STATE;

struct Params {
  seqlen: u32, // steps, before they are counted RANK times
}

@group(0) @binding(0) var<storage, read> rates: array<vec4<f32>>; // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(1) var<storage, read> vkq: array<f32>;         // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(2) var<storage, read> CB: array<f32>;          // (batch, chunks, NHEADS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read_write> y: array<f32>;     // (batch, seqlen, RANK, D_INNER)
@group(0) @binding(4) var<uniform> params: Params;

const LANES = 64u;

@compute @workgroup_size(LANES)
fn mamba3_skip(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let i = wid.x * LANES + lane;
  if (i >= RANK * D_INNER) {
    return;
  }
  let t = wid.y;
  let b = wid.z;
  let r = i / D_INNER;
  let d = i % D_INNER;
  let h = d / HEADDIM;
  let own = own_step(b, t, h);
  let products = own.products + r * CHUNK;
  var sum = 0.0;
  for (var other = 0u; other < RANK; other++) {
    sum += skip_factor(own, r, other) * CB[products + other] * vkq[(own.row * RANK + other) * D_VKQ + d];
  }
  y[(own.row * RANK + r) * D_INNER + d] += sum;
}
