/** state_copy: the states of a batch's sequences, from one tensor to another. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/state_copy.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel. */
export const stateCopyKernel = defineKernel({
  name: "state_copy",
  source,
  bindings: { x: "read", y: "read_write" },
  params: {
    batch: "u32",
    size: "u32",
    x_start: "u32",
    x_stride: "u32",
    y_start: "u32",
    y_stride: "u32",
  },
  overrides: [],
  sizes: ({ batch, size, x_start, x_stride, y_start, y_stride }) => ({
    x: x_start + (batch - 1) * x_stride + size,
    y: y_start + (batch - 1) * y_stride + size,
  }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/** One of several states that lie side by side. */
export interface StateSlot {
  /** (batch, slots, ...). */
  readonly tensor: Tensor;
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
  program: Program,
  { from, to }: { readonly from: StateSlot; readonly to: StateSlot },
  { batch, size, label }: { readonly batch: number; readonly size: number; readonly label: string },
): void {
  program.add(stateCopyKernel, {
    tensors: { x: from.tensor, y: to.tensor },
    overrides: {},
    params: {
      ...{ batch, size },
      ...{ x_start: from.slot * size, x_stride: from.slots * size },
      ...{ y_start: to.slot * size, y_stride: to.slots * size },
    },
    workgroups: foldWorkgroups(Math.ceil(batch * size / LANES)),
    label,
  });
}
