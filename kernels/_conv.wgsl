// _conv: what both directions of conv1d share: the inputs before a step, and the weights beside them, as windows.
// The kernel declares x (at x_offset, ld_x), weight, conv_state, D_INNER, D_CONV, and VECS, the number of vectors of a
// window that have weights.

// The last 32 values of a sequence, the newest in h.w. Written out: what a loop indexes does not stay in registers.
struct Window {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
  e: vec4<f32>,
  f: vec4<f32>,
  g: vec4<f32>,
  h: vec4<f32>,
}

// The window four steps later.
fn window_slide(w: Window, newest: vec4<f32>) -> Window {
  return Window(w.b, w.c, w.d, w.e, w.f, w.g, w.h, newest);
}

// Four steps of a convolution, by the four weights whose last is for the inputs `late` and the others for older ones.
fn four_taps(weights: vec4<f32>, early: vec4<f32>, late: vec4<f32>) -> vec4<f32> {
  return (weights.w * late + weights.z * vec4<f32>(early.w, late.xyz)) +
    (weights.y * vec4<f32>(early.zw, late.xy) + weights.x * vec4<f32>(early.yzw, late.x));
}

// Four steps of a convolution by the newest 4 vecs weights of v: over w, and over the inputs of the steps themselves.
fn window_steps(w: Window, steps: vec4<f32>, v: Window, vecs: u32) -> vec4<f32> {
  var sum = four_taps(v.h, w.h, steps);
  if (vecs > 1u) {
    sum += four_taps(v.g, w.g, w.h);
  }
  if (vecs > 2u) {
    sum += four_taps(v.f, w.f, w.g) + four_taps(v.e, w.e, w.f);
  }
  if (vecs > 4u) {
    sum += (four_taps(v.d, w.d, w.e) + four_taps(v.c, w.c, w.d)) +
      (four_taps(v.b, w.b, w.c) + four_taps(v.a, w.a, w.b));
  }
  return sum;
}

// What four steps with gradients g give for the weights of four_taps().
fn four_taps_bwd(g: vec4<f32>, early: vec4<f32>, late: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(
    dot(g, vec4<f32>(early.yzw, late.x)), dot(g, vec4<f32>(early.zw, late.xy)),
    dot(g, vec4<f32>(early.w, late.xyz)), dot(g, late));
}

// sum + what four steps with gradients g give for the newest 4 vecs weights of window_steps().
fn window_steps_bwd(sum: Window, g: vec4<f32>, w: Window, steps: vec4<f32>, vecs: u32) -> Window {
  var next = sum;
  next.h += four_taps_bwd(g, w.h, steps);
  if (vecs > 1u) {
    next.g += four_taps_bwd(g, w.g, w.h);
  }
  if (vecs > 2u) {
    next.f += four_taps_bwd(g, w.f, w.g);
    next.e += four_taps_bwd(g, w.e, w.f);
  }
  if (vecs > 4u) {
    next.d += four_taps_bwd(g, w.d, w.e);
    next.c += four_taps_bwd(g, w.c, w.d);
    next.b += four_taps_bwd(g, w.b, w.c);
    next.a += four_taps_bwd(g, w.a, w.b);
  }
  return next;
}

// Input at step t; t counts back from 0 into the window of past inputs. What is older than it is 0.
fn input_at(b: u32, d: u32, t: i32) -> f32 {
  if (t >= i32(params.seqlen) || t < -i32(D_CONV)) {
    return 0.0;
  }
  if (t >= 0) {
    return x[params.x_offset + (b * params.seqlen + u32(t)) * params.ld_x + d];
  }
  return conv_state[(b * D_INNER + d) * D_CONV + u32(i32(D_CONV) + t)];
}

fn inputs_at(b: u32, d: u32, t: i32) -> vec4<f32> {
  return vec4<f32>(input_at(b, d, t), input_at(b, d, t + 1), input_at(b, d, t + 2), input_at(b, d, t + 3));
}

// The inputs before step t.
fn window_before(b: u32, d: u32, t: i32) -> Window {
  var w: Window;
  w.h = inputs_at(b, d, t - 4);
  if (VECS > 1u) {
    w.g = inputs_at(b, d, t - 8);
  }
  if (VECS > 2u) {
    w.f = inputs_at(b, d, t - 12);
    w.e = inputs_at(b, d, t - 16);
  }
  if (VECS > 4u) {
    w.d = inputs_at(b, d, t - 20);
    w.c = inputs_at(b, d, t - 24);
    w.b = inputs_at(b, d, t - 28);
    w.a = inputs_at(b, d, t - 32);
  }
  return w;
}

fn weight_at(d: u32, k: i32) -> f32 {
  let in_window = k >= 0 && k < i32(D_CONV);
  return select(0.0, weight[d * D_CONV + u32(clamp(k, 0, i32(D_CONV) - 1))], in_window);
}

// The weights of four inputs, the newest of which is `back` steps old.
fn weights_at(d: u32, back: u32) -> vec4<f32> {
  let k = i32(D_CONV - 1u) - i32(back);
  return vec4<f32>(weight_at(d, k - 3), weight_at(d, k - 2), weight_at(d, k - 1), weight_at(d, k));
}

fn window_of_weights(d: u32) -> Window {
  return Window(
    weights_at(d, 28u), weights_at(d, 24u), weights_at(d, 20u), weights_at(d, 16u),
    weights_at(d, 12u), weights_at(d, 8u), weights_at(d, 4u), weights_at(d, 0u));
}
