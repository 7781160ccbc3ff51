/** sum_partials: the second stage of every sum that spans workgroups, always in the same order. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/sum_partials.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";

/** The kernel. */
export const sumPartialsKernel = defineKernel({
  name: "sum_partials",
  source,
  bindings: { partials: "read", y: "read_write" },
  params: { parts: "u32", size: "u32" },
  overrides: ["ACCUMULATE", "GROUPS"],
  sizes: ({ parts, size }) => ({ partials: parts * size, y: size }),
});

/** Lanes of a workgroup. */
const LANES = 256;

/**
 * y (size) = the sum of partials (parts, size) over parts.
 *
 * @param shape `accumulate` (default false) adds to y.
 */
export function sumPartials(
  program: Program,
  tensors: { readonly partials: Tensor; readonly y: Tensor },
  shape: {
    readonly parts: number;
    readonly size: number;
    readonly accumulate?: boolean;
    readonly label: string;
  },
): void {
  const { parts, size, accumulate = false, label } = shape;
  // One part is a copy, which a second lane could not help with.
  const groups = parts === 1 ? 1 : 8;
  program.add(sumPartialsKernel, {
    tensors,
    overrides: { ACCUMULATE: accumulate, GROUPS: groups },
    params: { parts, size },
    workgroups: foldWorkgroups(Math.ceil(size * groups / LANES)),
    label: `${label}.sum_partials`,
  });
}
