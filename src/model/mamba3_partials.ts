/** How the partial sums of the gradients of Mamba-3's gate lie. */

import type { Mamba3Sizes } from "./mamba3_sizes.ts";
import { roundUp } from "./shapes.ts";

/** Rows of a sequence that a partial sum is of. */
export const GATE_ROWS = 16;

/** Views begin at multiples of so many elements: what the least capable device asks for. */
const VIEW_STEP = 64;

/** Partials (parts, mimo_rank, d_inner) of mimo_z, of mimo_o, and (parts, d_inner) of the norm's weight. */
export interface GatePartials {
  readonly tiles: number;
  readonly parts: number;
  readonly o_start: number;
  readonly weight_start: number;
  /** Elements in all. */
  readonly end: number;
}

/** Where they begin: each tile of rows of a sequence leaves a part. */
export function gatePartials(
  { nheads, headdim, mimo_rank, batch, seqlen }: Mamba3Sizes & { batch: number; seqlen: number },
): GatePartials {
  const tiles = Math.ceil(seqlen / GATE_ROWS);
  const parts = batch * tiles;
  const plane = roundUp(parts * mimo_rank * nheads * headdim, VIEW_STEP);
  const end = 2 * plane + parts * nheads * headdim;
  return { tiles, parts, o_start: plane, weight_start: 2 * plane, end };
}
