/** Sizes of a Mamba-2 mixer, and how its activations are packed. */

/** Sizes of a Mamba-2 mixer. */
export interface SsdSizes {
  /** Heads; each has one A, one dt a step, and headdim channels. */
  readonly nheads: number;
  readonly headdim: number;
  readonly d_state: number;
  /** Groups of heads, which share B and C; divides nheads. Head h is of group floor(h ngroups / nheads). */
  readonly ngroups: number;
}

/** What the ops of the recurrence take beside its sizes. */
export interface SsdOptions {
  /** Limits of dt, both included, after softplus; default [0, Infinity]. */
  readonly dt_limit?: readonly [number, number];
  /** Whether D is (nheads, headdim) instead of (nheads), the default. */
  readonly D_has_hdim?: boolean;
}

/** Steps of a chunk, and from one kept state to the next in training: as many as a tile of the kernels has, the most. */
export const SSD_CHUNK = 64;

/** Widths of activations: in_proj's output is [z, x, B, C, dt], conv1d's [x, B, C]. */
export function ssdWidths(
  { nheads, headdim, d_state, ngroups }: SsdSizes,
): { d_inner: number; conv_dim: number; d_in_proj: number } {
  const d_inner = nheads * headdim;
  const conv_dim = d_inner + 2 * ngroups * d_state;
  return { d_inner, conv_dim, d_in_proj: d_inner + conv_dim + nheads };
}

/** Overrides for the limits of dt. Infinity is no override's value: the largest f32 takes its place. */
export function dtLimits(
  [low, high]: readonly [number, number] = [0, Infinity],
): { DT_MIN: number; DT_MAX: number } {
  return { DT_MIN: low, DT_MAX: Math.min(high, LARGEST_F32) };
}

const LARGEST_F32 = 3.4028234663852886e38;
