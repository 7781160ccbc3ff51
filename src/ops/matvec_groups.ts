/** matvec_groups and matvec_finish: what matvec_fwd computes, for the steps of many sequences at once. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import finishSource from "../../kernels/matvec_finish.wgsl" with { type: "text" };
import groupsSource from "../../kernels/matvec_groups.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4 } from "./matmul_tile.ts";
import { blockWords } from "./matrix.ts";
import { endingSizes, MATVEC_OVERRIDES, type MatvecBlock } from "./matvec_block.ts";

/** The kernel that multiplies. */
export const matvecGroupsKernel = defineKernel({
  name: "matvec_groups",
  source: groupsSource,
  preludes: ["_weight", "_chains", "_tile", "_matmul"],
  bindings: { x: "read", norm_weight: "read", weight: "read", sums: "read_write" },
  params: { rows: "u32", ld_x: "u32", x_offset: "u32" },
  overrides: ["D_IN", "W_STRIDE", "W_DTYPE", "ROWS", "WIDE", "X_ALIGNED", "NORM", "SHARES"],
  sizes: (values, [, , shares]) => {
    const { D_IN, W_STRIDE, W_DTYPE, ROWS, NORM, rows, ld_x, x_offset } = values;
    return {
      x: x_offset + (rows - 1) * ld_x + D_IN,
      norm_weight: NORM * D_IN,
      weight: blockWords(ROWS, W_STRIDE, W_DTYPE),
      sums: shares * rows * ROWS,
    };
  },
});

/** The kernel that adds up, and does what comes after a product. */
export const matvecFinishKernel = defineKernel({
  name: "matvec_finish",
  source: finishSource,
  preludes: ["_chains", "_matvec"],
  bindings: {
    x: "read",
    sums: "read_write",
    bias: "read",
    conv_weight: "read",
    conv_bias: "read",
    conv_state: "read_write",
    y: "read_write",
  },
  params: { rows: "u32", shares: "u32", ld_x: "u32", x_offset: "u32", ld_y: "u32" },
  overrides: [
    "D_IN",
    "ROW_START",
    "ROWS",
    ...MATVEC_OVERRIDES,
  ],
  sizes: (values) => {
    const { D_IN, ROWS, NORM, rows, shares, ld_x, x_offset } = values;
    return {
      x: NORM * (x_offset + (rows - 1) * ld_x + D_IN),
      sums: shares * rows * ROWS,
      ...endingSizes(values, rows),
    };
  },
});

/** Side of a tile. */
const TILE = 64;

/** Lanes of a workgroup of matvec_finish. */
const FINISH_LANES = 256;

/** Chains of a sum, and groups of them, as _chains.wgsl has them. */
const [CHAINS, CHAIN_GROUPS] = [32, 8];

/** With as many workgroups an H100 is busy: then sums are not shared among more, which takes memory and time. */
const BUSY_WORKGROUPS = 264;

/** With fewer, each chain has its own. */
const IDLE_WORKGROUPS = 32;

/** Among how many workgroups a sum is shared. */
export function sumShares(weightRows: number, rows: number): number {
  const tiles = Math.ceil(weightRows / TILE) * Math.ceil(rows / TILE);
  if (tiles >= BUSY_WORKGROUPS) return 1;
  return tiles * CHAIN_GROUPS < IDLE_WORKGROUPS ? CHAINS : CHAIN_GROUPS;
}

/** Words of the scratch in which a weight of so many rows is multiplied with so many rows of x. */
export function scratchWords(weightRows: number, rows: number): number {
  return sumShares(weightRows, rows) * rows * weightRows;
}

/** One block of a matvec for many rows, in two dispatches. */
export function matvecByGroups(
  program: Program,
  block: MatvecBlock,
  { rows, scratch, shares }: {
    readonly rows: number;
    readonly scratch: Tensor;
    readonly shares: number;
  },
): void {
  const { tensors: { norm_weight, weight, ...tensors }, overrides, params, label } = block;
  const { W_STRIDE, W_DTYPE, ...finish } = overrides;
  const { D_IN, ROWS, NORM } = finish;
  const { ld_x, x_offset } = params;
  program.add(matvecGroupsKernel, {
    tensors: { x: tensors.x, norm_weight, weight, sums: scratch },
    overrides: {
      ...{ D_IN, W_STRIDE, W_DTYPE, ROWS, NORM },
      WIDE: false,
      X_ALIGNED: areMultiplesOf4(D_IN, ld_x, x_offset),
      SHARES: shares,
    },
    params: { rows, ld_x, x_offset },
    workgroups: [Math.ceil(ROWS / TILE), Math.ceil(rows / TILE), shares],
    label,
  });
  program.add(matvecFinishKernel, {
    tensors: { ...tensors, sums: scratch },
    overrides: finish,
    params: { ...params, rows, shares },
    workgroups: [Math.ceil(ROWS / FINISH_LANES), rows, 1],
    label: `${label}.finish`,
  });
}
