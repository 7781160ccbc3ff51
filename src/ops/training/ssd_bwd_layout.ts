/** Sizes that the kernels of Mamba-2's gradients share, and where each leaves its sums for the next. */

import { SSD_TILE, type SsdShape } from "../ssd.ts";
import type { SsdOptions, SsdSizes } from "../../model/ssd_sizes.ts";

/** The overrides that all of them have. */
export function sizeOverrides({ nheads, headdim, d_state, ngroups, chunk }: SsdShape) {
  return { NHEADS: nheads, HEADDIM: headdim, D_STATE: d_state, NGROUPS: ngroups, CHUNK: chunk };
}

/** Chunks of a sequence. */
export function chunkCount({ seqlen, chunk }: SsdShape): number {
  return Math.ceil(seqlen / chunk);
}

/** Elements of D. */
export function sizeOfD({ nheads, headdim, D_has_hdim }: SsdSizes & SsdOptions): number {
  return D_has_hdim ? nheads * headdim : nheads;
}

/** How the sums lie that the kernels hand to ssd_dt_bwd: planes of x by tile of channels, of CB, of B and C by tile of states. */
export function layoutOfSums(shape: SsdShape) {
  const { batch, seqlen, nheads, headdim, d_state } = shape;
  const plane = batch * nheads * seqlen;
  const [p_tiles, n_tiles] = [Math.ceil(headdim / SSD_TILE), Math.ceil(d_state / SSD_TILE)];
  const CB = p_tiles * plane;
  const BC = CB + plane;
  const state = BC + 2 * n_tiles * plane;
  return {
    p_tiles,
    n_tiles,
    plane,
    CB,
    BC,
    state,
    end: state + batch * chunkCount(shape) * nheads,
  };
}
