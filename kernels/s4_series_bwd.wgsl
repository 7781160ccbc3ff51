// s4_series_bwd: gradients of a step's a, b, p and q, and of C and D, from those of what a chunk does (see s4_series).
// The two chains backwards, r[l+1] = Abar r[l] and o[t] = o[t-1] Abar, each with the gradient h of its own element:
//   h_r[l] = grad_R[l] + grad_K[l] C + Abar^T h_r[l+1]      h_o[t] = grad_O[t] + h_o[t+1] Abar^T
// They take the place of grad_R and grad_O. Lanes as in s4_series, and what they read they have written themselves.
override D_MODEL: u32;
override PAIRS: u32;
override CHUNK: u32;
override LOW_RANK: bool;

@group(0) @binding(0) var<storage, read> system: array<f32>;            // ([a, b] or [a, b, p, q], PAIRS, 2, D_MODEL)
@group(0) @binding(1) var<storage, read> C: array<f32>;                 // (PAIRS, 2, D_MODEL)
@group(0) @binding(2) var<storage, read> table: array<f32>;             // ([K, O, R, E], D_MODEL)
@group(0) @binding(3) var<storage, read_write> grad_table: array<f32>;  // the same
@group(0) @binding(4) var<storage, read_write> grad_system: array<f32>; // like system
@group(0) @binding(5) var<storage, read_write> grad_C: array<f32>;      // (PAIRS, 2, D_MODEL)
@group(0) @binding(6) var<storage, read_write> grad_D: array<f32>;      // (D_MODEL)

const CHANNELS = 16u;
const LANES = 16u;

var<workgroup> sums: array<vec4<f32>, CHANNELS * LANES>;

fn gradient_at(start: u32, n: u32, d: u32) -> vec2<f32> {
  let row = start + 2u * n;
  return vec2<f32>(grad_table[row * D_MODEL + d], grad_table[(row + 1u) * D_MODEL + d]);
}

fn store_gradient(start: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = start + 2u * n;
  grad_table[row * D_MODEL + d] = value.x;
  grad_table[(row + 1u) * D_MODEL + d] = value.y;
}

fn add_system(block: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = (block * PAIRS + n) * 2u;
  grad_system[row * D_MODEL + d] += value.x;
  grad_system[(row + 1u) * D_MODEL + d] += value.y;
}

fn add_C(n: u32, d: u32, value: vec2<f32>) {
  grad_C[2u * n * D_MODEL + d] += value.x;
  grad_C[(2u * n + 1u) * D_MODEL + d] += value.y;
}

// What this lane starts with, of pair n: zeros, and the gradient through E.
fn begin(n: u32, d: u32) {
  for (var block = 0u; block < select(2u, 4u, LOW_RANK); block++) {
    let row = (block * PAIRS + n) * 2u;
    grad_system[row * D_MODEL + d] = 0.0;
    grad_system[(row + 1u) * D_MODEL + d] = 0.0;
  }
  grad_C[2u * n * D_MODEL + d] = 0.0;
  grad_C[(2u * n + 1u) * D_MODEL + d] = 0.0;
  if (!LOW_RANK) {
    let a = system_at(0u, n, d);
    var power = vec2<f32>(f32(CHUNK), 0.0);
    for (var t = 1u; t < CHUNK; t++) {
      power = complex_mul(a, power);
    }
    add_system(0u, n, d, conj_mul(power, gradient_at(E_row(), n, d)));
  }
}

@compute @workgroup_size(CHANNELS, LANES)
fn s4_series_bwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.x, D_MODEL - 1u);
  let writes = wid.x * CHANNELS + lid.x < D_MODEL;
  for (var n = lid.y; writes && n < PAIRS; n += LANES) {
    begin(n, d);
  }
  // Gradients of q r[l] and of o[t-1] p, of the step after.
  var later = vec2<f32>(0.0);
  for (var i = 0u; i < CHUNK; i++) {
    let t = CHUNK - 1u - i;
    // q r[t-1], o[t-1] p, -p h_r[t] and -q h_o[t] of this lane's pairs.
    var own = vec4<f32>(0.0);
    for (var n = lid.y; writes && n < PAIRS; n += LANES) {
      let a = system_at(0u, n, d);
      var h_r = gradient_at(R_row(t), n, d) + grad_table[t * D_MODEL + d] * C_at(n, d);
      var h_o = gradient_at(O_row(t), n, d);
      if (i > 0u) {
        h_r += conj_mul(a, gradient_at(R_row(t + 1u), n, d));
        h_o += complex_mul(a, gradient_at(O_row(t + 1u), n, d));
      }
      if (LOW_RANK) {
        let p = system_at(2u, n, d);
        let q = system_at(3u, n, d);
        h_r += later.x * q;
        h_o += later.y * p;
        own.y += dot(before(t, n, d), p);
        own.z -= dot(p, h_r);
        own.w -= dot(q, h_o);
        if (t > 0u) {
          own.x += dot(q, table_at(R_row(t - 1u), n, d));
        }
      }
      store_gradient(R_row(t), n, d, h_r);
      store_gradient(O_row(t), n, d, h_o);
    }
    sums[lid.y * CHANNELS + lid.x] = own;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < LANES; j++) {
      sum += sums[j * CHANNELS + lid.x];
    }
    workgroupBarrier();
    later = sum.zw;
    for (var n = lid.y; writes && n < PAIRS; n += LANES) {
      let h_r = gradient_at(R_row(t), n, d);
      let h_o = gradient_at(O_row(t), n, d);
      let o = before(t, n, d);
      var grad_a = conj_mul(h_o, o);
      var grad_p = sum.w * o;
      var grad_q = -sum.y * h_o;
      var grad_c = grad_table[t * D_MODEL + d] * table_at(R_row(t), n, d);
      if (t > 0u) {
        let r = table_at(R_row(t - 1u), n, d);
        grad_a += conj_mul(r, h_r);
        grad_p -= sum.x * h_r;
        grad_q += sum.z * r;
      } else {
        add_system(1u, n, d, h_r);
        grad_c += complex_mul(system_at(0u, n, d), h_o);
        if (LOW_RANK) {
          grad_c += sum.w * system_at(2u, n, d);
        }
      }
      add_system(0u, n, d, grad_a);
      add_C(n, d, output_row(grad_c));
      if (LOW_RANK) {
        add_system(2u, n, d, grad_p);
        add_system(3u, n, d, grad_q);
      }
    }
  }
  if (writes && lid.y == 0u) {
    grad_D[d] = grad_table[d];
  }
}
