// product: c = a b + bias, or c += with `adds`: what training's linear layers and their gradients are, with weights whose
// rows lie one after the other.
//   c (m, n) = sum over k of a (m, k) b (k, n), in the order of k, whatever the blocks: no element depends on them.
// Items: blocks of rowsPerBlock x columnsPerBlock of c, those of the first rows first. Of each, K_BLOCK terms at a time,
// a's rows go into panels of 6 and b's columns into panels of 8 in scratch memory, padded with zeros; sums go on from c.
// An operand's `turned` says that its terms lie one after the other, not what panels are made of.
// Arguments (0 where absent): a, lda, aTurned, b, ldb, bTurned, c, ldc, bias, adds, m, n, k, rowsPerBlock,
//   columnsPerBlock
// Scratch: the panels of a, those of b, a row that nobody reads

import { threadScratch } from "./control";
import { loadLanes } from "./lanes";
import { PANEL_A, PANEL_B, packPanels } from "./product_pack";
import { productTile } from "./product_tile";
import { arg } from "./record";

/** Terms of a sum whose operands lie in panels at a time. */
const K_BLOCK: u32 = 256;

export function product(rec: usize, begin: u32, end: u32): void {
  const lda = arg(rec, 1);
  const aTurned = arg(rec, 2) != 0;
  const ldb = arg(rec, 4);
  const bTurned = arg(rec, 5) != 0;
  const ldc: usize = arg(rec, 7) * 4;
  const bias = arg(rec, 8);
  const n = arg(rec, 11);
  const k = arg(rec, 12);
  const rowsPerBlock = arg(rec, 13);
  const columnsPerBlock = arg(rec, 14);
  const columnBlocks = (n + columnsPerBlock - 1) / columnsPerBlock;
  const depth = min(k, K_BLOCK);
  const aPanels = threadScratch();
  const bPanels = aPanels + (rowsPerBlock + PANEL_A - 1) / PANEL_A * PANEL_A * depth * 4;
  const nobody = bPanels + (columnsPerBlock + PANEL_B - 1) / PANEL_B * PANEL_B * depth * 4;
  for (let item = begin; item < end; item++) {
    const row = item / columnBlocks * rowsPerBlock;
    const column = item % columnBlocks * columnsPerBlock;
    const rows = min(rowsPerBlock, arg(rec, 10) - row);
    const columns = min(columnsPerBlock, n - column);
    for (let first: u32 = 0; first < k; first += K_BLOCK) {
      const terms = min(K_BLOCK, k - first);
      const a = arg(rec, 0) + (aTurned ? row * lda + first : first * lda + row) * 4;
      const b = arg(rec, 3) + (bTurned ? column * ldb + first : first * ldb + column) * 4;
      packPanels(a, lda, aTurned, rows, terms, PANEL_A, aPanels);
      packPanels(b, ldb, bTurned, columns, terms, PANEL_B, bPanels);
      const own: usize = first > 0 ? 0 : bias;
      const adds = first > 0 || arg(rec, 9) != 0;
      for (let j: u32 = 0; j < columns; j += PANEL_B) {
        const left = columns - j;
        let start0 = f32x4.splat(0);
        let start1 = start0;
        if (own != 0) {
          start0 = loadLanes(own + (column + j) * 4, left);
          if (left > 4) start1 = loadLanes(own + (column + j) * 4 + 16, left - 4);
        }
        for (let i: u32 = 0; i < rows; i += PANEL_A) {
          const c = arg(rec, 6) + (row + i) * ldc + (column + j) * 4;
          productTile(
            aPanels + i * terms * 4, bPanels + j * terms * 4, terms, c, ldc, rows - i, left, nobody, start0, start1,
            adds,
          );
        }
      }
    }
  }
}
