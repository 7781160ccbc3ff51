// token_score_fwd: how expected each target was, from the logits before it.
//   y[row] = (log p(target), rank of target, entropy) with p = softmax(logits[row]) over the real vocabulary.
//   rank counts the ids that are likelier, ties by id: 0 is the best guess. Natural logarithms.
// One workgroup per row: the maximum first, then all sums in a second sweep.
override VOCAB_SIZE: u32;
override REAL_VOCAB_SIZE: u32;

@group(0) @binding(0) var<storage, read> logits: array<f32>;   // (rows, VOCAB_SIZE)
@group(0) @binding(1) var<storage, read> targets: array<u32>;  // (rows)
@group(0) @binding(2) var<storage, read_write> y: array<f32>;  // (rows, 3)

const LANES = 128u;
// Sum of exponentials, sum of exponentials times logits (both against the maximum), number of likelier ids.
var<workgroup> parts: array<vec3<f32>, LANES>;

@compute @workgroup_size(LANES)
fn token_score_fwd(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = wid.x;
  let first = row * VOCAB_SIZE;
  let target_id = targets[row];
  let target_logit = logits[first + target_id];
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
  var part = vec3<f32>(0.0);
  for (var id = lane; id < REAL_VOCAB_SIZE; id += LANES) {
    let logit = logits[first + id];
    let weight = exp(logit - top);
    let likelier = logit > target_logit || (logit == target_logit && id < target_id);
    // A counter that is exact up to 2^24 ids, more than any vocabulary that a config may name.
    part += vec3<f32>(weight, weight * (logit - top), select(0.0, 1.0, likelier));
  }
  parts[lane] = part;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      parts[lane] += parts[lane + half];
    }
  }
  workgroupBarrier();
  if (lane == 0u) {
    let total = parts[0];
    y[row * 3u] = target_logit - top - log(total.x);
    y[row * 3u + 1u] = total.z;
    y[row * 3u + 2u] = log(total.x) - total.y / total.x;
  }
}
