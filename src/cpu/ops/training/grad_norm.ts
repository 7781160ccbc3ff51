/** sum_of_squares and clip_factor: the norm of all gradients, and what they are multiplied by to limit it. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { CLIP_SIZE, gradNormParts, NORM_PART } from "../../../model/grad_norm.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/**
 * clip (2) = the factor min(1, maxNorm / (norm + 1e-6)), and the norm of all gradients together.
 *
 * A norm that is NaN or infinite is kept, with factor 0, by which {@linkcode adamwUpdate} changes nothing; which gradient
 * it comes from can be read in `partials`.
 *
 * @param tensors `gradients` holds `size` elements, padding between tensors included, which must be 0; `partials`
 * (gradNormParts(size)) gets the sums of squares of the parts.
 * @param shape `maxNorm` may be Infinity: then the factor is 1.
 */
export function gradNorm(
  program: CpuProgram,
  tensors: { gradients: CpuTensor; partials: CpuTensor; clip: CpuTensor },
  shape: { size: number; maxNorm: number; label: string },
): void {
  const { gradients, partials, clip } = tensors;
  const { size, maxNorm, label } = shape;
  const parts = gradNormParts(size);
  requireSize(label, "gradients", gradients, size);
  requireSize(label, "partials", partials, parts);
  requireSize(label, "clip", clip, CLIP_SIZE);
  program.add({
    kind: OpKind.sum_of_squares,
    items: parts,
    grain: rowsGrain(NORM_PART),
    args: [gradients.address, partials.address, size, NORM_PART],
    label: `${label}.squares`,
  });
  program.add({
    kind: OpKind.clip_factor,
    items: 1,
    grain: 1,
    args: [partials.address, clip.address, parts, floatBits(maxNorm)],
    label,
  });
}
