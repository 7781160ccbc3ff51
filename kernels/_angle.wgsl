// _angle: angles, for the kernels of Mamba-3's rotations. WGSL promises sin() and cos() to 5e-4 only, and of angles in
// [-pi, pi] alone: these are exact to 1e-7 on every device. Multiples of pi are taken off in parts, of which the first
// has so few bits that its product with a small whole number is exact.

// The same angle in [-pi, pi], from one that is not far from it.
fn reduced(angle: f32) -> f32 {
  let turns = round(angle * 0.15915494);
  return (angle - turns * 6.28125) - turns * 1.9353072e-3;
}

// Cosine and sine of an angle in about [-pi, pi]: Cephes' polynomials on +- pi / 4.
fn cos_sin(angle: f32) -> vec2<f32> {
  let quarters = round(angle * 0.63661977);
  let x = ((angle - quarters * 1.5703125) - quarters * 4.8375130e-4) - quarters * 7.5497900e-8;
  let s = x * x;
  let sine = x + x * s * (-1.6666654611e-1 + s * (8.3321608736e-3 - s * 1.9515295891e-4));
  let cosine = 1.0 - 0.5 * s + s * s * (4.166664568e-2 + s * (-1.388731625e-3 + s * 2.443315711e-5));
  let quarter = u32(i32(quarters) + 4) % 4u;
  let swapped = select(vec2<f32>(cosine, sine), vec2<f32>(-sine, cosine), quarter % 2u == 1u);
  return select(swapped, -swapped, quarter >= 2u);
}

// tanh, exact to 1e-7 of 1: a device's own may overflow.
fn tanh_of(v: f32) -> f32 {
  let e = exp(-2.0 * abs(v));
  return sign(v) * (1.0 - e) / (1.0 + e);
}
