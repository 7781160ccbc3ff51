/** selective_scan_step and selective_scan_rows: a single step of the Mamba-1 recurrence, of few sequences and of many. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import rowsSource from "../../kernels/selective_scan_rows.wgsl" with { type: "text" };
import stepSource from "../../kernels/selective_scan_step.wgsl" with { type: "text" };
import { isQuantized } from "../model/weights/dtype.ts";
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4 } from "./matmul_tile.ts";
import { blockWords, type Matrix, type MatrixBlock, W_DTYPE } from "./matrix.ts";
import type { ScanSizes } from "./scan_lanes.ts";

const BINDINGS = {
  xz: "read",
  x_dbl: "read",
  dt_weight: "read",
  dt_bias: "read",
  A_log: "read",
  D: "read",
  ssm_state: "read_write",
  y: "write",
} as const;

/** Elements of each tensor. */
function sizes(
  { D_INNER, D_STATE, DT_RANK, W_STRIDE, W_DTYPE }: Readonly<
    Record<"D_INNER" | "D_STATE" | "DT_RANK" | "W_STRIDE" | "W_DTYPE", number>
  >,
  rows: number,
): Readonly<Record<keyof typeof BINDINGS, number>> {
  return {
    xz: rows * 2 * D_INNER,
    x_dbl: rows * (DT_RANK + 2 * D_STATE),
    dt_weight: blockWords(D_INNER, W_STRIDE, W_DTYPE),
    dt_bias: D_INNER,
    A_log: D_INNER * D_STATE,
    D: D_INNER,
    ssm_state: rows * D_INNER * D_STATE,
    y: rows * D_INNER,
  };
}

/** The kernel for seqlen 1, with dt_proj in front. */
export const selectiveScanStepKernel = defineKernel({
  name: "selective_scan_step",
  source: stepSource,
  preludes: ["_chains", "_states", "_scan_step"],
  bindings: BINDINGS,
  params: {},
  overrides: [
    "D_INNER",
    "D_STATE",
    "DT_RANK",
    "W_STRIDE",
    "W_DTYPE",
    "ALIGNED",
    "LANES",
    "CHANNELS",
  ],
  sizes: (values, [, batch]) => sizes(values, batch),
});

/** The same for many sequences. */
export const selectiveScanRowsKernel = defineKernel({
  name: "selective_scan_rows",
  source: rowsSource,
  preludes: ["_chains", "_states", "_scan_step"],
  bindings: BINDINGS,
  params: { rows: "u32" },
  overrides: ["D_INNER", "D_STATE", "DT_RANK", "W_STRIDE", "W_DTYPE"],
  sizes: (values) => sizes(values, values.rows),
});

/** Rows and channels of a workgroup of selective_scan_rows. */
const ROWS_KERNEL = { rows: 4, channels: 64 } as const;

/** Channels of all rows from which it is quicker: with fewer, lanes that do more leave a device idle. */
const ROWS_PAY = 20_000;

/** What it may lay out in workgroup memory: half of what every device has. */
const MAX_COLUMNS = 512;

/** Lanes of a workgroup of selective_scan_step, or of a channel if that needs more. */
const WORKGROUP_SIZE = 64;

/**
 * y (batch, d_inner) for one step: dt_proj of x_dbl's first columns, then the recurrence. xz holds u, then z.
 *
 * @param shape `byRows`: whether by the kernel for many sequences, where sizes allow it; default: where it is quicker.
 */
export function selectiveScanStep(
  program: Program,
  { dt_weight, ...tensors }: {
    xz: Tensor;
    x_dbl: Tensor;
    dt_weight: Matrix;
    dt_bias: Tensor;
    A_log: Tensor;
    D: Tensor;
    ssm_state: Tensor;
    y: Tensor;
  },
  shape: ScanSizes & { batch: number; byRows?: boolean; label: string },
): void {
  const { batch, d_inner, d_state, dt_rank, label } = shape;
  const isAligned = areMultiplesOf4(d_state, dt_rank);
  const { byRows = batch * d_inner > ROWS_PAY } = shape;
  const use = {
    tensors: { ...tensors, dt_weight: onlyBlock(dt_weight, label).tensor },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      W_STRIDE: dt_weight.stride,
      W_DTYPE: W_DTYPE[dt_weight.dtype],
    },
    label,
  };
  if (byRows && isAligned && dt_weight.stride + 2 * d_state <= MAX_COLUMNS) {
    const { rows, channels } = ROWS_KERNEL;
    program.add(selectiveScanRowsKernel, {
      ...use,
      params: { rows: batch },
      workgroups: [Math.ceil(d_inner / channels), Math.ceil(batch / rows), 1],
    });
    return;
  }
  // A lane for each 16 bytes of a row of dt_proj, and at least for four sums over states.
  const chunks = dt_weight.stride / (dt_weight.dtype === "f32" ? 4 : 8);
  const lanes = Math.min(32, Math.max(4, 2 ** Math.ceil(Math.log2(chunks))));
  const channels = Math.max(4, WORKGROUP_SIZE / lanes);
  program.add(selectiveScanStepKernel, {
    ...use,
    overrides: { ...use.overrides, ALIGNED: isAligned, LANES: lanes, CHANNELS: channels },
    params: {},
    workgroups: [Math.ceil(d_inner / channels), batch, 1],
  });
}

function onlyBlock({ rows, columns, dtype, blocks }: Matrix, label: string): MatrixBlock {
  const [block, ...others] = blocks;
  if (block === undefined || others.length > 0) {
    throw new RangeError(
      `Cannot run ${label}: dt_proj [${rows}, ${columns}] does not fit in one binding`,
    );
  }
  if (isQuantized(dtype)) {
    throw new TypeError(`Cannot run ${label}: dt_proj is ${dtype}, expected f32, f16 or bf16`);
  }
  return block;
}
