// The module's entry: walks a list of op records.

import { opNumber, setOpNumber } from "./control";
import { dispatch } from "./dispatch";
import { itemsOf, RECORD_BYTES } from "./record";

/** First byte behind the module's constants. */
export function heapStart(): usize {
  return __heap_base;
}

/** Computes `count` ops from address `list`, `times` times. */
export function run(list: usize, count: u32, times: u32): void {
  const end = list + <usize>count * RECORD_BYTES;
  for (let time: u32 = 0; time < times; time++) {
    for (let rec = list; rec < end; rec += RECORD_BYTES) {
      setOpNumber(opNumber + 1);
      dispatch(rec, 0, itemsOf(rec));
    }
  }
}

export { packRows, packScales } from "./pack";
