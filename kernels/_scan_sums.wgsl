// _scan_sums: sums of selective_scan_bwd over a channel's lanes, and over channels, which go through workgroup memory.
// The kernel declares that memory, terms and parts, and what is written: grad_BC and grads.

// Sum over the lanes of one kind of parts, of one step.
fn sum_of_parts(kind: u32, channel: u32, step: u32) -> f32 {
  let i = kind * SIZE + channel;
  if (LANES == 4u) {
    return (parts[i][step] + parts[i + CHANNELS][step]) +
      (parts[i + 2u * CHANNELS][step] + parts[i + 3u * CHANNELS][step]);
  }
  var sum = parts[i][step];
  for (var lane = 1u; lane < LANES; lane++) {
    sum += parts[i + lane * CHANNELS][step];
  }
  return sum;
}

fn sum_of_terms(sum: u32) -> vec4<f32> {
  let i = sum * SUM_STRIDE;
  if (SUMMED == 8u) {
    return ((terms[i] + terms[i + 1u]) + (terms[i + 2u] + terms[i + 3u])) +
      ((terms[i + 4u] + terms[i + 5u]) + (terms[i + 6u] + terms[i + 7u]));
  }
  var total = terms[i];
  for (var k = 1u; k < SUMMED; k++) {
    total += terms[i + k];
  }
  return total;
}

// Four sums of a block's channels at step t: of C for kinds 0 to 3, of B for kinds 4 to 7.
fn store_BC(row: u32, kind: u32, lane: u32, values: vec4<f32>) {
  grad_BC[row * 2u * LANES + select(0u, LANES, kind < 4u) + lane] = values;
}

// One channel's term of a kind's sum at step t of row `row`; the sum itself where there is no other channel.
fn add_term(kind: u32, index: u32, t: u32, row: u32, value: vec4<f32>) {
  if (CHANNELS > 1u) {
    terms[kind * (SIZE / SUMMED) * SUM_STRIDE + index + index / 8u * (SUM_STRIDE - SUMMED)] = value;
  } else if (t < params.seqlen) {
    store_BC(row, kind, index, value);
  }
}

// Four steps' terms of the kinds from `kind` on.
fn add_terms(kind: u32, index: u32, t0: u32, row: u32, values: mat4x4<f32>) {
  add_term(kind, index, t0, row, values[0]);
  add_term(kind + 1u, index, t0 + 1u, row + 1u, values[1]);
  add_term(kind + 2u, index, t0 + 2u, row + 2u, values[2]);
  add_term(kind + 3u, index, t0 + 3u, row + 3u, values[3]);
}

// Sums of terms are of kinds, and of lanes and blocks of channels in each. A block's rows begin block_rows after those
// of the block before.
fn store_sums(t0: u32, row: u32, index: u32, block_rows: u32) {
  if (CHANNELS > 1u) {
    for (var i = index; i < SUMS; i += SIZE) {
      let kind = i / (LANES * BLOCKS);
      if (t0 + kind % 4u < params.seqlen) {
        store_BC(row + kind % 4u + i % BLOCKS * block_rows, kind, i / BLOCKS % LANES, sum_of_terms(i));
      }
    }
  }
}

// The gradient of D, from what each of a channel's lanes has of it.
fn store_D(b: u32, d: u32, lane: u32, index: u32, own: f32) {
  workgroupBarrier();
  parts[index].x = own;
  workgroupBarrier();
  if (lane == 0u && d < D_INNER) {
    var sum = 0.0;
    for (var k = 0u; k < LANES; k++) {
      sum += parts[k * CHANNELS + d % CHANNELS].x;
    }
    grads[params.grad_D_start + b * D_INNER + d] = sum;
  }
}
