// The module's entry: walks a list of op records. With threads it is main_threads.ts.

import { opNumber, setOpNumber } from "./control";
import { dispatch } from "./dispatch";
import { itemsOf, RECORD_BYTES } from "./record";
import { computeShared } from "./threads";

export { packRows, packScales } from "./pack";

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
      if (ASC_FEATURE_THREADS) computeShared(rec);
      else dispatch(rec, 0, itemsOf(rec));
    }
  }
}
