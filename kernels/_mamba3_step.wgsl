// _mamba3_step: what the kernels of a single step of Mamba-3, with MIMO and without, share: a lane's states.
// The kernel declares ssm_state, HEADDIM, D_STATE and ROW, the lanes of a channel.

// States n, n + ROW, n + 2 ROW and n + 3 ROW of channel p, the first of the head's at `head`.
fn state4(head: u32, p: u32, n: u32) -> vec4<f32> {
  let ns = vec4<u32>(n, n + ROW, n + 2u * ROW, n + 3u * ROW);
  let at = head + min(p, HEADDIM - 1u) * D_STATE + min(ns, vec4<u32>(D_STATE - 1u));
  return vec4<f32>(ssm_state[at.x], ssm_state[at.y], ssm_state[at.z], ssm_state[at.w]);
}

fn store4(head: u32, p: u32, n: u32, values: vec4<f32>) {
  if (p >= HEADDIM) {
    return;
  }
  for (var i = 0u; i < 4u; i++) {
    if (n + i * ROW < D_STATE) {
      ssm_state[head + p * D_STATE + n + i * ROW] = values[i];
    }
  }
}
