// cross_entropy: loss of each row, and its gradient in the logits' place.
//   wanted = (1 - SMOOTHING) onehot(target) + SMOOTHING / REAL_VOCAB_SIZE (label smoothing, Szegedy et al. 2016)
//   loss[row] = -wanted . log softmax(logits[row]), in nats
//   grad_logits[row] = scale (softmax(logits[row]) - wanted)
//   Padding columns, from REAL_VOCAB_SIZE on, have no probability and gradient 0. A row whose target is IGNORED has
//   loss 0 and gradient 0. NaN and +infinity among the logits give NaN.
// One workgroup per row: the maximum, the sum, then the gradient over the logits, which nobody else has read by then.
override VOCAB_SIZE: u32;
override REAL_VOCAB_SIZE: u32;
override SMOOTHING: f32;
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

var<workgroup> parts: array<vec2<f32>, LANES>;

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
  parts[lane].x = top;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      parts[lane].x = max(parts[lane].x, parts[lane + half].x);
    }
  }
  workgroupBarrier();
  top = parts[0].x;
  workgroupBarrier();
  var sum = vec2<f32>(0.0); // of the exponentials, and of the logits
  for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
    let logit = logits[first + id] - top;
    sum += vec2<f32>(exp(logit), logit);
  }
  parts[lane] = sum;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      parts[lane] += parts[lane + half];
    }
  }
  workgroupBarrier();
  let total = parts[0].x;
  // Before the gradient takes the target's place.
  if (lane == 0u) {
    loss[row] = 0.0;
    if (target_id != IGNORED) {
      var wanted = logits[first + target_id] - top;
      if (SMOOTHING > 0.0) {
        wanted = mix(wanted, parts[0].y / f32(REAL_VOCAB_SIZE), SMOOTHING);
      }
      loss[row] = log(total) - wanted;
    }
  }
  workgroupBarrier();
  storageBarrier();
  for (var id = lane; id < VOCAB_SIZE; id += LANES) {
    var grad = 0.0;
    if (id < REAL_VOCAB_SIZE && target_id != IGNORED) {
      let probability = exp(logits[first + id] - top) / total;
      let wanted = select(0.0, 1.0 - SMOOTHING, id == target_id) + SMOOTHING / f32(REAL_VOCAB_SIZE);
      grad = params.scale * (probability - wanted);
    }
    logits[first + id] = grad;
  }
}
