// s4_series: what a chunk of CHUNK steps does, from what one step does (s4d_system, s4_system).
//   x[t] = Abar x[t-1] + b u[t]      y[t] = 2 Re(C x[t]) + D u[t]      Abar = diag(a), or diag(a) - p q^T if LOW_RANK
// K[l] = C Abar^l b, with D in K[0]: the convolution's kernel.   R[j] = Abar^(CHUNK-1-j) b: what input j leaves in
// the state after the chunk.   O[t] = C Abar^(t+1): what output t has of the state before it.   E = a^CHUNK, if not
// LOW_RANK. All numbers are real here: rows of both parts of each pair, with q x = sum q[n] x[n] over both, and O as
// a row times Abar. A workgroup has 16 channels, with 16 lanes each, which stride over the pairs and go step by
// step: K and the products with q and p are sums over all pairs of a channel. Lanes read of the table what they have
// written themselves.
override D_MODEL: u32;
override PAIRS: u32;
override CHUNK: u32;
override LOW_RANK: bool;

@group(0) @binding(0) var<storage, read> system: array<f32>;      // ([a, b] or [a, b, p, q], PAIRS, 2, D_MODEL)
@group(0) @binding(1) var<storage, read> C: array<f32>;           // (PAIRS, 2, D_MODEL)
@group(0) @binding(2) var<storage, read> D: array<f32>;           // (D_MODEL)
@group(0) @binding(3) var<storage, read_write> table: array<f32>; // ([K, O, R, E], D_MODEL)

const CHANNELS = 16u;
const LANES = 16u;

var<workgroup> sums: array<vec3<f32>, CHANNELS * LANES>;

fn store(start: u32, n: u32, d: u32, value: vec2<f32>) {
  let row = start + 2u * n;
  table[row * D_MODEL + d] = value.x;
  table[(row + 1u) * D_MODEL + d] = value.y;
}

@compute @workgroup_size(CHANNELS, LANES)
fn s4_series(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_id) lid: vec3<u32>) {
  // Lanes past the last channel repeat it and write nothing: the barriers need all of them.
  let d = min(wid.x * CHANNELS + lid.x, D_MODEL - 1u);
  let writes = wid.x * CHANNELS + lid.x < D_MODEL;
  for (var n = lid.y; writes && n < PAIRS; n += LANES) {
    store(R_row(0u), n, d, system_at(1u, n, d));
    if (!LOW_RANK) {
      store(E_row(), n, d, vec2<f32>(1.0, 0.0));
    }
  }
  for (var t = 0u; t < CHUNK; t++) {
    // C r, q r and o p of this lane's pairs.
    var own = vec3<f32>(0.0);
    for (var n = lid.y; writes && n < PAIRS; n += LANES) {
      let r = table_at(R_row(t), n, d);
      own.x += dot(C_at(n, d), r);
      if (LOW_RANK) {
        own.y += dot(system_at(3u, n, d), r);
        own.z += dot(system_at(2u, n, d), before(t, n, d));
      }
    }
    sums[lid.y * CHANNELS + lid.x] = own;
    workgroupBarrier();
    var sum = vec3<f32>(0.0);
    for (var i = 0u; i < LANES; i++) {
      sum += sums[i * CHANNELS + lid.x];
    }
    workgroupBarrier();
    if (writes && lid.y == 0u) {
      table[t * D_MODEL + d] = sum.x + select(0.0, D[d], t == 0u);
    }
    for (var n = lid.y; writes && n < PAIRS; n += LANES) {
      let a = system_at(0u, n, d);
      var o = conj_mul(a, before(t, n, d));
      if (LOW_RANK) {
        o -= sum.z * system_at(3u, n, d);
      } else {
        store(E_row(), n, d, complex_mul(a, table_at(E_row(), n, d)));
      }
      store(O_row(t), n, d, o);
      if (t + 1u < CHUNK) {
        var r = complex_mul(a, table_at(R_row(t), n, d));
        if (LOW_RANK) {
          r -= sum.y * system_at(2u, n, d);
        }
        store(R_row(t + 1u), n, d, r);
      }
    }
  }
}
