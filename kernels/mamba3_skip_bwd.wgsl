// mamba3_skip_bwd: what mamba3_skip adds to gradients. With c of ranks r and r' as there, and
// W[r, r'] = sum over p of grad_y[t, r, p] v[t, r', p]:
//   grad_CB[t r, t r'] += c W[r, r']     grad_v[t, r'] += sum over r of c CB[t r, t r'] grad_y[t, r]
//   skips = - sum where r' <= r of CB W, and sum where r' > r of CB W: gradients of delta[t+1] and gamma[t]
// A workgroup per head and step, a lane per channel.
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

@group(0) @binding(0) var<storage, read> rates: array<vec4<f32>>;        // (batch, NHEADS, seqlen): see mamba3_rates
@group(0) @binding(1) var<storage, read> vkq: array<f32>;                // (batch, seqlen, RANK, D_VKQ)
@group(0) @binding(2) var<storage, read> CB: array<f32>;                 // (batch, chunks, NHEADS, CHUNK, CHUNK)
@group(0) @binding(3) var<storage, read> grad_y: array<f32>;             // (batch, seqlen, RANK, D_INNER)
@group(0) @binding(4) var<storage, read_write> grad_CB: array<f32>;      // (batch, chunks, NHEADS, CHUNK, CHUNK)
@group(0) @binding(5) var<storage, read_write> grad_vkq: array<f32>;     // (batch, seqlen, RANK, D_VKQ): v's columns
@group(0) @binding(6) var<storage, read_write> skips: array<vec2<f32>>;  // (batch, NHEADS, seqlen)
@group(0) @binding(7) var<uniform> params: Params;

const LANES = 64u;
var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn mamba3_skip_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let h = wid.x;
  let t = wid.y;
  let b = wid.z;
  let own = own_step(b, t, h);
  var skip = vec2<f32>(0.0);
  for (var r = 0u; r < RANK; r++) {
    for (var other = 0u; other < RANK; other++) {
      let at = own.products + r * CHUNK + other;
      let c = skip_factor(own, r, other);
      let product = CB[at];
      var sum = 0.0;
      for (var p = lane; p < HEADDIM; p += LANES) {
        let d = h * HEADDIM + p;
        let grad = grad_y[(own.row * RANK + r) * D_INNER + d];
        let v = (own.row * RANK + other) * D_VKQ + d;
        sum += grad * vkq[v];
        grad_vkq[v] += c * product * grad;
      }
      sums[lane] = sum;
      workgroupBarrier();
      for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
          sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
      }
      if (lane == 0u) {
        grad_CB[at] += c * sums[0];
      }
      skip += select(vec2<f32>(0.0, product * sums[0]), vec2<f32>(-product * sums[0], 0.0), other <= r);
      workgroupBarrier();
    }
  }
  if (lane == 0u) {
    skips[own.step] = skip;
  }
}
