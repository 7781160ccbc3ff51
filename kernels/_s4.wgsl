// _s4: complex numbers, and exponentials as exact as f32 has them: what is off in one step is off 4,096 times as
// much in as many, and WGSL promises no more of cos() than 2^-11.

fn complex_mul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// conj(a) b
fn conj_mul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  return vec2<f32>(a.x * b.x + a.y * b.y, a.x * b.y - a.y * b.x);
}

fn complex_div(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  return conj_mul(b, a) / dot(b, b);
}

// cos(x) - 1 and sin(x), to 1e-7 of sin: x less a multiple of pi / 2, in three parts, and the polynomials of Moshier's
// Cephes library on +- pi / 4.
fn cosm1_sin(x: f32) -> vec2<f32> {
  let n = round(x * 0.63661977);
  let r = ((x - n * 1.5703125) - n * 4.8375129e-4) - n * 7.5497900e-8;
  let z = r * r;
  let s = r + r * z * (-0.16666655 + z * (8.3321609e-3 - z * 1.9515296e-4));
  let c = z * z * (4.1666646e-2 + z * (-1.3887316e-3 + z * 2.4433157e-5)) - 0.5 * z;
  let quarter = u32(i32(n)) & 3u;
  if (quarter == 0u) {
    return vec2<f32>(c, s);
  }
  if (quarter == 1u) {
    return vec2<f32>(-s - 1.0, c + 1.0);
  }
  if (quarter == 2u) {
    return vec2<f32>(-c - 2.0, -s);
  }
  return vec2<f32>(s - 1.0, -c - 1.0);
}

// exp(x) - 1, by Cephes' polynomial on +- ln 2 / 2.
fn expm1_of(x: f32) -> f32 {
  let within = clamp(x, -80.0, 80.0);
  let n = round(within * 1.442695);
  let r = (within - n * 0.69335938) + n * 2.1219444e-4;
  let p = 0.5 + r * (0.16666666 + r * (4.1665796e-2 + r * (8.3334519e-3 + r * (1.3981999e-3 + r * 1.9875691e-4))));
  let e = r + r * r * p;
  if (n == 0.0) {
    return e;
  }
  return ldexp(1.0 + e, i32(n)) - 1.0;
}

// exp(x), to the last bits but one of f32.
fn exp_of(x: f32) -> f32 {
  let within = clamp(x, -80.0, 80.0);
  let n = round(within * 1.442695);
  let r = (within - n * 0.69335938) + n * 2.1219444e-4;
  return ldexp(1.0 + expm1_of(r), i32(n));
}

// exp(w) - 1
fn complex_expm1(w: vec2<f32>) -> vec2<f32> {
  let e = expm1_of(w.x);
  let turn = cosm1_sin(w.y);
  return vec2<f32>(e + turn.x + e * turn.x, turn.y + e * turn.y);
}

// The real product that an output takes of a state: 2 Re(C x), as the sum of both parts' products.
fn output_row(C: vec2<f32>) -> vec2<f32> {
  return vec2<f32>(2.0 * C.x, -2.0 * C.y);
}
