/** state_copy: the states of a batch's sequences, from one tensor to another. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** One of several states that lie side by side. */
export interface StateSlot {
  /** (batch, slots, ...). */
  readonly tensor: CpuTensor;
  /** States of each sequence. */
  readonly slots: number;
  /** Which of them. */
  readonly slot: number;
}

/**
 * Copies one state (batch, size) into another slot; the other slots are left as they are.
 *
 * @param shape `size` is the number of elements of one sequence's state.
 */
export function stateCopy(
  program: CpuProgram,
  { from, to }: { readonly from: StateSlot; readonly to: StateSlot },
  { batch, size, label }: { readonly batch: number; readonly size: number; readonly label: string },
): void {
  for (const [name, { tensor, slots, slot }] of Object.entries({ from, to })) {
    requireSize(label, name, tensor, ((batch - 1) * slots + slot + 1) * size);
  }
  const place = ({ tensor, slots, slot }: StateSlot) => [
    tensor.address + slot * size * 4,
    slots * size,
  ];
  program.add({
    kind: OpKind.state_copy,
    items: batch,
    grain: rowsGrain(size),
    args: [...place(from), ...place(to), size],
    label,
  });
}
