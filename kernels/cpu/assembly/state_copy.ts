// state_copy: one state of each sequence, from one place to another.
// Items: sequences.
// Arguments: from the first sequence's x on, from sequence to sequence of it in elements, y likewise, elements of a state

import { arg } from "./record";

export function stateCopy(rec: usize, begin: u32, end: u32): void {
  for (let b = begin; b < end; b++) {
    memory.copy(arg(rec, 2) + b * arg(rec, 3) * 4, arg(rec, 0) + b * arg(rec, 1) * 4, arg(rec, 4) * 4);
  }
}
