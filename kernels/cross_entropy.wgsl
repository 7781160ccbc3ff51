// cross_entropy: loss of each row, and its gradient in the logits' place.
//   loss[row] = -log softmax(logits[row])[target], in nats
//   grad_logits[row] = scale (softmax(logits[row]) - onehot(target))
//   Padding columns, from REAL_VOCAB_SIZE on, have no probability and gradient 0. A row whose target is IGNORED has
//   loss 0 and gradient 0. NaN and +infinity among the logits give NaN.
// One workgroup per row: the maximum, the sum, then the gradient over the logits, which nobody else has read by then.
override VOCAB_SIZE: u32;
override REAL_VOCAB_SIZE: u32;
override LANES: u32;   // a power of two

struct Params {
  rows: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // (rows, VOCAB_SIZE): logits, then their gradient
@group(0) @binding(1) var<storage, read> targets: array<u32>;      // (rows): below REAL_VOCAB_SIZE, or IGNORED
@group(0) @binding(2) var<storage, read_write> loss: array<f32>;   // (rows), without scale
@group(0) @binding(3) var<uniform> params: Params;

const IGNORED = 0xffffffffu;

var<workgroup> parts: array<f32, LANES>;

@compute @workgroup_size(LANES)
fn cross_entropy(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
                 @builtin(local_invocation_index) lane: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= params.rows) {
    return;
  }
  let first = row * VOCAB_SIZE;
  let target_id = targets[row];
  var top = -3.4e38;
  for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
    top = max(top, logits[first + id]);
  }
  parts[lane] = top;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      parts[lane] = max(parts[lane], parts[lane + half]);
    }
  }
  workgroupBarrier();
  top = parts[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
    sum += exp(logits[first + id] - top);
  }
  parts[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      parts[lane] += parts[lane + half];
    }
  }
  workgroupBarrier();
  let total = parts[0];
  // Before the gradient takes the target's place.
  if (lane == 0u) {
    loss[row] = 0.0;
    if (target_id != IGNORED) {
      loss[row] = log(total) - (logits[first + target_id] - top);
    }
  }
  workgroupBarrier();
  storageBarrier();
  for (var id = lane; id < VOCAB_SIZE; id += LANES) {
    var grad = 0.0;
    if (id < REAL_VOCAB_SIZE && target_id != IGNORED) {
      let probability = exp(logits[first + id] - top) / total;
      grad = params.scale * (probability - select(0.0, 1.0, id == target_id));
    }
    logits[first + id] = grad;
  }
}
