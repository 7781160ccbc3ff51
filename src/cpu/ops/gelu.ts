/** gelu_fwd and gelu_bwd: GELU, by its form with tanh, of each element. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Elements of an item. */
const BLOCK = 1024;

/** y (size) = gelu(x). */
export function geluFwd(
  program: CpuProgram,
  { x, y }: { x: CpuTensor; y: CpuTensor },
  { size, label }: { size: number; label: string },
): void {
  requireSize(label, "x", x, size);
  requireSize(label, "y", y, size);
  program.add({
    kind: OpKind.gelu_fwd,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(2 * BLOCK),
    args: [x.address, y.address, size],
    label,
  });
}

/** grad (size), of geluFwd()'s y, becomes that of its x. */
export function geluBwd(
  program: CpuProgram,
  { x, grad }: { x: CpuTensor; grad: CpuTensor },
  { size, label }: { size: number; label: string },
): void {
  requireSize(label, "x", x, size);
  requireSize(label, "grad", grad, size);
  program.add({
    kind: OpKind.gelu_bwd,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(2 * BLOCK),
    args: [x.address, grad.address, size],
    label,
  });
}
