/** product: what training's linear layers and their gradients are. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../model/shapes.ts";
import type { CpuProgram } from "../machine/program.ts";

/** A factor. */
export interface Factor {
  readonly address: number;
  /** From row to row in memory, in elements. */
  readonly ld: number;
  /** Whether a row in memory holds the terms of one sum, not one term of many. */
  readonly turned: boolean;
}

/** c (rows, columns) = a b + bias, of sums of `depth` terms. */
export interface ProductOperands {
  readonly a: Factor;
  readonly b: Factor;
  readonly c: Omit<Factor, "turned">;
  readonly bias?: number | undefined;
  /** Adds to c instead of overwriting it. */
  readonly adds: boolean;
}

/** Rows and columns of the result that an item has at most: two factors' panels fit in a second cache. */
const MAX_BLOCK = 192;

/** And at least: below, packing takes too much of the time. Both are multiples of the sides of a tile. */
const MIN_BLOCK = 24;

/** Blocks of a result a thread, where there are several, so that those that begin late still find some. */
const ITEMS_PER_THREAD = 4;

/** Terms that lie in panels at a time. */
const K_BLOCK = 256;

/** Rows of a panel of a, columns of a panel of b. */
const PANEL = { a: 6, b: 8 };

/** Records a product. */
export function addProduct(
  program: CpuProgram,
  { a, b, c, bias, adds }: ProductOperands,
  shape: { rows: number; columns: number; depth: number; label: string },
): void {
  const { rows, columns, depth, label } = shape;
  const { maxThreads } = program.cpu;
  const wanted = maxThreads === 1 ? 1 : ITEMS_PER_THREAD * maxThreads;
  const { rowsPerBlock, columnsPerBlock } = blocksOf(rows, columns, wanted);
  const panels = roundUp(rowsPerBlock, PANEL.a) + roundUp(columnsPerBlock, PANEL.b);
  program.add({
    kind: OpKind.product,
    items: Math.ceil(rows / rowsPerBlock) * Math.ceil(columns / columnsPerBlock),
    grain: 1,
    args: [
      ...[a.address, a.ld, Number(a.turned), b.address, b.ld, Number(b.turned), c.address, c.ld],
      ...[bias ?? 0, Number(adds), rows, columns, depth, rowsPerBlock, columnsPerBlock],
    ],
    scratchBytes: (panels * Math.min(depth, K_BLOCK) + PANEL.b) * 4,
    label,
  });
}

/** Large blocks, halved until there are enough: no result depends on them. */
function blocksOf(
  rows: number,
  columns: number,
  wanted: number,
): { rowsPerBlock: number; columnsPerBlock: number } {
  let rowsPerBlock = MAX_BLOCK;
  let columnsPerBlock = MAX_BLOCK;
  const items = () => Math.ceil(rows / rowsPerBlock) * Math.ceil(columns / columnsPerBlock);
  while (items() < wanted && rowsPerBlock + columnsPerBlock > 2 * MIN_BLOCK) {
    if (rowsPerBlock >= columnsPerBlock) rowsPerBlock /= 2;
    else columnsPerBlock /= 2;
  }
  return { rowsPerBlock, columnsPerBlock };
}
