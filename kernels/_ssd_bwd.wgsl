// _ssd_bwd: how the backward kernels of Mamba-2's chunks read the gradient of y. Goes after _ssd.
// The kernel declares grad_y and D_INNER.

// Four elements of grad_y from i on, of which the first `count` are wanted.
fn grad_y4(i: u32, count: u32) -> vec4<f32> {
  let at = vec4s_of(i, count);
  return four_of(grad_y[at.x], grad_y[at.y], i, count);
}

// Four of each of four rows, the first's from i on.
fn grad_y_rows(i: u32, counts: vec4<u32>) -> mat4x4<f32> {
  return mat4x4<f32>(grad_y4(i, counts.x), grad_y4(i + D_INNER, counts.y),
                     grad_y4(i + 2u * D_INNER, counts.z), grad_y4(i + 3u * D_INNER, counts.w));
}
