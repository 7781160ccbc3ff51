/** sum_partials: the second stage of sums that threads share, always in the same order. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";

/** Elements of an item. */
const BLOCK = 64;

/**
 * y (size) = the sum of partials (parts, size) over parts.
 *
 * @param shape `accumulate` (default false) adds to y.
 */
export function sumPartials(
  program: CpuProgram,
  { partials, y }: { partials: CpuTensor; y: CpuTensor },
  shape: { parts: number; size: number; accumulate?: boolean; label: string },
): void {
  const { parts, size, accumulate = false, label } = shape;
  requireSize(label, "partials", partials, parts * size);
  requireSize(label, "y", y, size);
  program.add({
    kind: OpKind.sum_partials,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(BLOCK * parts),
    args: [partials.address, y.address, parts, size, Number(accumulate)],
    label: `${label}.sum_partials`,
  });
}
