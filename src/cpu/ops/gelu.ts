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
  shape: GeluShape,
): void {
  addOp(program, OpKind.gelu_fwd, { x, y }, shape);
}

/** grad (size), of geluFwd()'s y, becomes that of its x. */
export function geluBwd(
  program: CpuProgram,
  { x, grad }: { x: CpuTensor; grad: CpuTensor },
  shape: GeluShape,
): void {
  addOp(program, OpKind.gelu_bwd, { x, grad }, shape);
}

/** Elements of each tensor. */
interface GeluShape {
  readonly size: number;
  readonly label: string;
}

function addOp(
  program: CpuProgram,
  kind: OpKind,
  tensors: Readonly<Record<string, CpuTensor>>,
  { size, label }: GeluShape,
): void {
  for (const [name, tensor] of Object.entries(tensors)) requireSize(label, name, tensor, size);
  program.add({
    kind,
    items: Math.ceil(size / BLOCK),
    grain: rowsGrain(2 * BLOCK),
    args: [...Object.values(tensors).map(({ address }) => address), size],
    label,
  });
}
