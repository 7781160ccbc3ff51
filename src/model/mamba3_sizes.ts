/** Sizes of a Mamba-3 mixer, and how its activations are packed. */

import { SSD_CHUNK } from "./ssd_sizes.ts";

/** Sizes of a Mamba-3 mixer. */
export interface Mamba3Sizes {
  /** Heads: each has one decay a step, angles of its own, and headdim channels. */
  readonly nheads: number;
  readonly headdim: number;
  /** States of each channel: an even number. */
  readonly d_state: number;
  /** Groups of heads that share B and C before their biases; divides nheads. */
  readonly ngroups: number;
  /** Whether a step has several inputs and outputs of each channel, which pairs other lanes of B and C: those half of d_state apart, not neighbors. */
  readonly is_mimo: boolean;
  /** How many: 1 where it is not MIMO. */
  readonly mimo_rank: number;
  /** Pairs of lanes of B and C that are rotated. */
  readonly num_rope_angles: number;
}

/** How A follows from its column of in_proj: A = min(-f(dd_A), -A_floor), with 1 + x, and 1 / (1 - x) below 0, or softplus. */
export type AActivation = "heavy_tail" | "softplus";

/** Both; the official one first. */
export const A_ACTIVATIONS: readonly AActivation[] = ["heavy_tail", "softplus"];

/** What gives the steps their decay. */
export interface Mamba3Options {
  readonly A_activation: AActivation;
  /** The least decay there is. */
  readonly A_floor: number;
}

/** Widths of activations, and columns where parts of in_proj's output begin: [z, x, B, C, dd_dt, dd_A, trap, angles]. */
export interface Mamba3Widths {
  readonly d_inner: number;
  /** Columns of B, and of C, which are (mimo_rank, ngroups, d_state). */
  readonly d_bc: number;
  readonly x: number;
  readonly B: number;
  readonly C: number;
  readonly dd_dt: number;
  readonly dd_A: number;
  readonly trap: number;
  readonly angles: number;
  readonly d_in_proj: number;
  /** A row of what the recurrence reads, one for each rank: [v, k, q], k and q of each head. */
  readonly d_vkq: number;
}

/** See {@linkcode Mamba3Widths}. */
export function mamba3Widths(sizes: Mamba3Sizes): Mamba3Widths {
  const { nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles } = sizes;
  const d_inner = nheads * headdim;
  const d_bc = mimo_rank * ngroups * d_state;
  const dd_dt = 2 * d_inner + 2 * d_bc;
  return {
    d_inner,
    d_bc,
    x: d_inner,
    B: 2 * d_inner,
    C: 2 * d_inner + d_bc,
    dd_dt,
    dd_A: dd_dt + nheads,
    trap: dd_dt + 2 * nheads,
    angles: dd_dt + 3 * nheads,
    d_in_proj: dd_dt + 3 * nheads + num_rope_angles,
    d_vkq: d_inner + 2 * nheads * d_state,
  };
}

/** Pairs of lanes that are rotated, for a share of d_state. */
export function ropeAngles(d_state: number, rope_fraction: number): number {
  return Math.floor(Math.floor(d_state * rope_fraction) / 2);
}

/** Steps of a chunk of the recurrence, each counted mimo_rank times: as many as fill a tile, in whole steps. */
export function mamba3Chunk({ mimo_rank }: Pick<Mamba3Sizes, "mimo_rank">): number {
  return Math.floor(SSD_CHUNK / mimo_rank) * mimo_rank;
}
