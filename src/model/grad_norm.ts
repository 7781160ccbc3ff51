/** Sizes of what the norm of all gradients is computed in. */

/** Elements of a part: what begins at a multiple of it has partials of its own. */
export const NORM_PART = 1024;

/** Elements of the `clip` tensor: the factor, then the norm before clipping. */
export const CLIP_SIZE = 2;

/** Elements of the scratch that gradNorm() needs. */
export function gradNormParts(size: number): number {
  return Math.ceil(size / NORM_PART);
}
