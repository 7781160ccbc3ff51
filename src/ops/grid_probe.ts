/** grid_probe: whether workgroups of one dispatch can wait for each other on a device. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/grid_probe.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { GRID_WORDS } from "./step.ts";

/** The kernel. */
export const gridProbeKernel = defineKernel({
  name: "grid_probe",
  source,
  preludes: ["_grid"],
  bindings: { exchange: "read_write", result: "read_write" },
  params: { rounds: "u32", patience: "u32" },
  overrides: ["LANES"],
  sizes: (_, [groups]) => ({ exchange: GRID_WORDS + 2 * groups, result: 1 }),
});

/** Words of the exchange that so many workgroups need. */
export function gridProbeWords(groups: number): number {
  return GRID_WORDS + 2 * groups;
}

/** Adds to `result` what workgroups that meet so often find wrong; the exchange must be cleared before. */
export function gridProbe(
  program: Program,
  tensors: { readonly exchange: Tensor; readonly result: Tensor },
  shape: {
    readonly groups: number;
    readonly lanes: number;
    readonly rounds: number;
    readonly patience: number;
    readonly label: string;
  },
): void {
  const { groups, lanes, rounds, patience, label } = shape;
  program.add(gridProbeKernel, {
    tensors,
    overrides: { LANES: lanes },
    params: { rounds, patience },
    workgroups: [groups, 1, 1],
    label,
  });
}
