// Operands of a product as panels: the terms of 6 rows or of 8 columns side by side, padded with zeros.

import { loadLanes } from "./lanes";
import { transpose0, transpose1, transpose2, transpose3 } from "./transpose";

/** Rows of c that a panel of a is for. */
export const PANEL_A: u32 = 6;

/** Columns of c that a panel of b is for. */
export const PANEL_B: u32 = 8;

/**
 * Packs `terms` terms of `count` rows or columns.
 *
 * The later four of a panel go first: of 6 they are two, and what is written too much the next term's replace, or the next
 * panel.
 *
 * @param ld From term to term, or, where they are turned, from row to row or column to column.
 */
export function packPanels(from: usize, ld: u32, turned: bool, count: u32, terms: u32, width: u32, to: usize): void {
  const step: usize = ld * 4;
  for (let first: u32 = 0; first < count; first += width) {
    for (let four: i32 = 4; four >= 0; four -= 4) {
      const own = first + four;
      const at = to + four * 4;
      const left = count > own ? count - own : 0;
      if (left == 0) clear(at, terms, width);
      else if (turned) packTurned(from + own * step, step, left, terms, at, width * 4);
      else packStraight(from + own * 4, step, left, terms, at, width * 4);
    }
    to += terms * width * 4;
  }
}

function clear(to: usize, terms: u32, width: u32): void {
  for (let term: u32 = 0; term < terms; term++) v128.store(to + term * width * 4, f32x4.splat(0));
}

function packStraight(from: usize, step: usize, count: u32, terms: u32, to: usize, width: usize): void {
  for (let term: u32 = 0; term < terms; term++) {
    v128.store(to, loadLanes(from, count));
    from += step;
    to += width;
  }
}

/** Four rows of terms, of which there are `count`, four terms at a time. */
function packTurned(row0: usize, step: usize, count: u32, terms: u32, to: usize, width: usize): void {
  const none = f32x4.splat(0);
  const row1 = row0 + step;
  const row2 = row1 + step;
  const row3 = row2 + step;
  for (let term: u32 = 0; term < terms; term += 4) {
    const at: usize = term * 4;
    const left = terms - term;
    const a = loadLanes(row0 + at, left);
    const b = count > 1 ? loadLanes(row1 + at, left) : none;
    const c = count > 2 ? loadLanes(row2 + at, left) : none;
    const d = count > 3 ? loadLanes(row3 + at, left) : none;
    v128.store(to, transpose0(a, b, c, d));
    if (left > 1) v128.store(to + width, transpose1(a, b, c, d));
    if (left > 2) v128.store(to + 2 * width, transpose2(a, b, c, d));
    if (left > 3) v128.store(to + 3 * width, transpose3(a, b, c, d));
    to += 4 * width;
  }
}
