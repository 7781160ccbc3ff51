// mamba3_carry: k and v of a sequence's last step, which the next one begins with.
// Items: sequences.
// Arguments: vkq (batch, seqlen, rank, [v, k, q]), x in the first row of zxBCdt, from row to row of that, k (batch, rank,
//   nheads d_state), v (batch, d_inner), seqlen, d_inner, nheads d_state, rank

import { arg } from "./record";

export function mamba3Carry(rec: usize, begin: u32, end: u32): void {
  const seqlen = arg(rec, 5);
  const inner: usize = arg(rec, 6) * 4;
  const states: usize = arg(rec, 7) * 4;
  const rank = arg(rec, 8);
  for (let b = begin; b < end; b++) {
    const last = (b + 1) * seqlen - 1;
    for (let r: u32 = 0; r < rank; r++) {
      const from = arg(rec, 0) + (last * rank + r) * (inner + 2 * states) + inner;
      memory.copy(arg(rec, 3) + (b * rank + r) * states, from, states);
    }
    memory.copy(arg(rec, 4) + b * inner, arg(rec, 1) + last * arg(rec, 2) * 4, inner);
  }
}
