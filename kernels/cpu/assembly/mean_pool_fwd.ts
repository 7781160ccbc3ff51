// mean_pool_fwd: running mean over time, from any earlier mean.
//   n = n + 1      mean = mean + (x[b, t] - mean) / n      y[b, t] = mean
// From 2^24 steps on, where the f32 count stops, it turns into an exponential average of that length.
// Items: blocks of 16 channels of a sequence, a cache line of each row.
// Arguments: x, pool_state (batch, 2, d_model): means, then counts; y, seqlen, d_model

import { loadLanes, storeLanes } from "./lanes";
import { arg } from "./record";

const CHANNELS: u32 = 16;

export function meanPoolFwd(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 3);
  const d_model = arg(rec, 4);
  const blocks = (d_model + CHANNELS - 1) / CHANNELS;
  const ld: usize = d_model * 4;
  for (let item = begin; item < end; item++) {
    const b = item / blocks;
    const first = item % blocks * CHANNELS;
    const last = min(first + CHANNELS, d_model);
    for (let d = first; d < last; d += 4) {
      const count = last - d;
      const state = arg(rec, 1) + (2 * b * d_model + d) * 4;
      let mean = loadLanes(state, count);
      let n = loadLanes(state + ld, count);
      let at: usize = (b * seqlen * d_model + d) * 4;
      for (let t: u32 = 0; t < seqlen; t++, at += ld) {
        n = f32x4.add(n, f32x4.splat(1));
        const x = loadLanes(arg(rec, 0) + at, count);
        mean = f32x4.add(mean, f32x4.div(f32x4.sub(x, mean), n));
        storeLanes(arg(rec, 2) + at, count, mean);
      }
      storeLanes(state, count, mean);
      storeLanes(state + ld, count, n);
    }
  }
}
