// adamw_update: one step of AdamW (Loshchilov & Hutter 2019), as torch.optim.AdamW has it.
//   g = clip[0] grad      m = m + (1 - beta1) (g - m)      v = v + (1 - beta2) (g^2 - v)
//   weight = weight (1 - lr weight_decay) - lr (m / (1 - beta1^step)) / (sqrt(v) / sqrt(1 - beta2^step) + EPS)
//   What depends on the step comes from a tensor, so that a recorded program serves all steps, and is computed in f64:
//   1 - 0.999 in f32 is 1.3e-5 off. A clip factor of 0 means that a gradient was NaN or infinite: nothing is changed.
// lr is that of the schedule times `rate`, which parameters have of their own. One lane per element.
override EPS: f32;
override BETA1_REST: f32;  // 1 - beta1
override BETA2_REST: f32;  // 1 - beta2

struct Params {
  size: u32,
  weight_decay: f32,
  rate: f32,
}

@group(0) @binding(0) var<storage, read_write> weight: array<f32>; // (size)
@group(0) @binding(1) var<storage, read> grad: array<f32>;         // (size)
@group(0) @binding(2) var<storage, read_write> m: array<f32>;      // (size)
@group(0) @binding(3) var<storage, read_write> v: array<f32>;      // (size)
@group(0) @binding(4) var<storage, read> clip: array<f32>;         // (2): factor, norm
@group(0) @binding(5) var<storage, read> schedule: array<f32>;         // (3): lr, and the two corrections
@group(0) @binding(6) var<uniform> params: Params;

const LANES = 256u;

@compute @workgroup_size(LANES)
fn adamw_update(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i >= params.size || clip[0] == 0.0) {
    return;
  }
  let learning_rate = params.rate * schedule[0];
  let g = clip[0] * grad[i];
  let m_next = m[i] + BETA1_REST * (g - m[i]);
  let v_next = v[i] + BETA2_REST * (g * g - v[i]);
  let change = m_next * schedule[1] / (sqrt(v_next) * schedule[2] + EPS);
  weight[i] = weight[i] * (1.0 - learning_rate * params.weight_decay) - learning_rate * change;
  m[i] = m_next;
  v[i] = v_next;
}
