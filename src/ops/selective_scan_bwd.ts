/** selective_scan_bwd: gradients of the Mamba-1 recurrence, and the sums that follow it. */

import type { Gpu } from "../gpu/device.ts";
import type { Program } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import bwdSource from "../../kernels/selective_scan_bwd.wgsl" with { type: "text" };
import sumSource from "../../kernels/selective_scan_bwd_sum.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { foldWorkgroups } from "./fold_workgroups.ts";
import { longestTile, scanLanes, type ScanSizes } from "./selective_scan.ts";
import { sumPartials } from "./sum_partials.ts";

/** The recurrence backwards. Twelve storage buffers: training needs a device that has them. */
export const selectiveScanBwdKernel = defineKernel({
  name: "selective_scan_bwd",
  source: bwdSource,
  bindings: {
    u: "read",
    dt: "read_write",
    x_dbl: "read",
    xz: "read",
    A_log: "read",
    D: "read",
    ssm_state: "read",
    grad_y: "read_write",
    grad_xz: "write",
    grad_BC: "write",
    grad_params: "write",
    grad_state: "read_write",
  },
  params: { seqlen: "u32", D_start: "u32" },
  overrides: ["D_INNER", "D_STATE", "DT_RANK", "LANES", "CHANNELS", "CHUNK", "GRAD_FINAL"],
});

/** The sum of B's and C's partials over channel groups. */
export const selectiveScanBwdSumKernel = defineKernel({
  name: "selective_scan_bwd_sum",
  source: sumSource,
  bindings: { partials: "read", grad_x_dbl: "write" },
  params: { rows: "u32", groups: "u32" },
  overrides: ["WIDTH", "DT_RANK"],
});

/** Lanes of a workgroup, if a channel does not need more. */
const WORKGROUP_SIZE = 32;

/**
 * Longer chunks would keep fewer states for backward, but then the kernel's workgroups, each of which holds a chunk's
 * states in workgroup memory, would be fewer at once. Measured on an H200: 4 is faster than 8, and 8 than 16.
 */
const MAX_CHUNK = 4;

/** Views of a tensor start at multiples of 256 bytes. */
const VIEW_ALIGNMENT = 64;

/**
 * Steps from one kept state to the next: what selectiveScanFwd() in training and selectiveScanBwd() are given.
 *
 * @throws {RangeError} If not even a chunk of one step fits in the device's workgroup memory.
 */
export function scanChunk(gpu: Gpu, d_state: number): number {
  const { lanes, channels } = scanLanes(d_state, WORKGROUP_SIZE);
  const size = lanes * channels;
  const available = gpu.device.limits.maxComputeWorkgroupStorageSize;
  for (let chunk = Math.min(MAX_CHUNK, longestTile(d_state)); chunk >= 1; chunk--) {
    // The kernel's states, parts, B and C tiles, its tiles of a step's scalars, and shares.
    const bytes = chunk * (24 * size + 32 * lanes + 24 * channels) +
      16 * Math.max(Math.floor(channels / chunk), 1) * chunk * lanes;
    if (bytes <= available) return chunk;
  }
  throw new RangeError(
    `Cannot train with d_state ${d_state}: a step needs more workgroup memory than the ${available} bytes of ` +
      `${gpu.name}. Use a smaller d_state`,
  );
}

/** Sizes of a scan's batch. */
export interface ScanShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly d_inner: number;
  readonly d_state: number;
}

/** Elements of the scratch tensors that selectiveScanBwd() needs; all layers of a model can share them. */
export function scanBwdScratch(
  { batch, seqlen, d_inner, d_state }: ScanShape,
): { partials_BC: number; partials_params: number } {
  return {
    partials_BC: channelGroups({ d_inner, d_state }) * batch * seqlen * 2 * d_state,
    partials_params: partialsOfDStart({ batch, d_inner, d_state }) + batch * d_inner,
  };
}

/**
 * Gradients of selectiveScanFwd(), which ran with `chunk` and left ssm_state.
 *
 * In place: grad_y (batch, seqlen, d_inner), of the gated output, becomes grad_u; dt, before softplus, becomes
 * grad_dt; grad_state (batch, d_inner, d_state), of the final state, becomes that of the initial state.
 * Written: the z half of grad_xz (batch, seqlen, 2 d_inner), the B and C columns of grad_x_dbl (batch, seqlen, dt_rank +
 * 2 d_state), grad_A_log and grad_D.
 *
 * @param shape `gradFinal` false (default true): grad_state is taken to be zeros and only written. `accumulate`
 * (default false): grad_A_log and grad_D are added to. `chunk` is scanChunk()'s.
 */
export function selectiveScanBwd(
  program: Program,
  tensors: {
    u: Tensor;
    dt: Tensor;
    x_dbl: Tensor;
    xz: Tensor;
    A_log: Tensor;
    D: Tensor;
    ssm_state: Tensor;
    grad_y: Tensor;
    grad_xz: Tensor;
    grad_x_dbl: Tensor;
    grad_A_log: Tensor;
    grad_D: Tensor;
    grad_state: Tensor;
    /** Scratch: see {@linkcode scanBwdScratch}. */
    partials_BC: Tensor;
    /** Scratch: see {@linkcode scanBwdScratch}. */
    partials_params: Tensor;
  },
  shape: ScanSizes & ScanShape & {
    chunk: number;
    gradFinal?: boolean;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { batch, seqlen, d_inner, d_state, dt_rank, chunk, label } = shape;
  const { gradFinal = true, accumulate = false } = shape;
  const { grad_x_dbl, grad_A_log, grad_D, partials_BC, partials_params, ...bound } = tensors;
  const { lanes, channels } = scanLanes(d_state, WORKGROUP_SIZE);
  const groups = channelGroups(shape);
  const D_start = partialsOfDStart(shape);
  program.add(selectiveScanBwdKernel, {
    tensors: { ...bound, grad_BC: partials_BC, grad_params: partials_params },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      LANES: lanes,
      CHANNELS: channels,
      CHUNK: chunk,
      GRAD_FINAL: gradFinal,
    },
    params: { seqlen, D_start },
    workgroups: [groups, batch, 1],
    label,
  });
  selectiveScanBwdSum(program, { partials: partials_BC, grad_x_dbl }, {
    rows: batch * seqlen,
    groups,
    d_state,
    dt_rank,
    label: `${label}.grad_BC`,
  });
  sumPartials(
    program,
    { partials: partials_params.view(0, [batch, d_inner, d_state]), y: grad_A_log },
    { parts: batch, size: d_inner * d_state, accumulate, label: `${label}.grad_A_log` },
  );
  sumPartials(
    program,
    { partials: partials_params.view(4 * D_start, [batch, d_inner]), y: grad_D },
    { parts: batch, size: d_inner, accumulate, label: `${label}.grad_D` },
  );
}

/** The B and C columns of grad_x_dbl (rows, dt_rank + 2 d_state) from partials (groups, rows, 2 d_state). */
export function selectiveScanBwdSum(
  program: Program,
  tensors: { partials: Tensor; grad_x_dbl: Tensor },
  shape: { rows: number; groups: number; d_state: number; dt_rank: number; label: string },
): void {
  const { rows, groups, d_state, dt_rank, label } = shape;
  program.add(selectiveScanBwdSumKernel, {
    tensors,
    overrides: { WIDTH: 2 * d_state, DT_RANK: dt_rank },
    params: { rows, groups },
    workgroups: foldWorkgroups(Math.ceil(rows * 2 * d_state / 64)),
    label,
  });
}

function channelGroups({ d_inner, d_state }: Pick<ScanShape, "d_inner" | "d_state">): number {
  return Math.ceil(d_inner / scanLanes(d_state, WORKGROUP_SIZE).channels);
}

function partialsOfDStart({ batch, d_inner, d_state }: Omit<ScanShape, "seqlen">): number {
  return Math.ceil(batch * d_inner * d_state / VIEW_ALIGNMENT) * VIEW_ALIGNMENT;
}
