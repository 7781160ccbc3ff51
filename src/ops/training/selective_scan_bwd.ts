/** selective_scan_bwd: gradients of the Mamba-1 recurrence, and the sums that follow it. */

import type { Gpu } from "../../gpu/device.ts";
import type { Program } from "../../gpu/program.ts";
import { spanOf } from "../../gpu/span.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import bwdSource from "../../../kernels/selective_scan_bwd.wgsl" with { type: "text" };
import sumSource from "../../../kernels/selective_scan_bwd_sum.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { foldWorkgroups } from "../fold_workgroups.ts";
import { SCAN_CHUNK, scanLanes, type ScanSizes } from "../scan_lanes.ts";
import { sumPartials } from "../sum_partials.ts";

/** The recurrence backwards. */
export const selectiveScanBwdKernel = defineKernel({
  name: "selective_scan_bwd",
  source: bwdSource,
  preludes: ["_scan", "_scan_sums"],
  bindings: {
    u_dt: "read_write",
    x_dbl: "read",
    xz: "read",
    A_log: "read",
    ssm_state: "read",
    grads: "read_write",
    grad_xz: "write",
    grad_BC: "write",
  },
  params: {
    seqlen: "u32",
    dt_start: "u32",
    D_start: "u32",
    grad_state_start: "u32",
    grad_A_start: "u32",
    grad_D_start: "u32",
  },
  overrides: ["D_INNER", "D_STATE", "DT_RANK", "LANES", "CHANNELS", "GRAD_FINAL"],
  sizes: (values, [channelGroups, batch]) => {
    const { D_INNER, D_STATE, DT_RANK, LANES, CHANNELS, seqlen } = values;
    const { dt_start, D_start, grad_state_start, grad_A_start, grad_D_start } = values;
    const rows = batch * seqlen;
    const states = D_INNER * D_STATE;
    const blocks = channelGroups * CHANNELS / Math.min(CHANNELS, MAX_SUMMED);
    return {
      u_dt: dt_start + rows * D_INNER,
      x_dbl: rows * (DT_RANK + 2 * D_STATE),
      xz: rows * 2 * D_INNER,
      A_log: D_start + D_INNER,
      ssm_state: batch * (Math.ceil(seqlen / SCAN_CHUNK) + 1) * states,
      grads: Math.max(
        grad_state_start + batch * states,
        grad_A_start + batch * states,
        grad_D_start + batch * D_INNER,
      ),
      grad_xz: rows * 2 * D_INNER,
      grad_BC: blocks * rows * 2 * LANES * 4,
    };
  },
});

/** The sum of B's and C's partials over blocks of channels. */
export const selectiveScanBwdSumKernel = defineKernel({
  name: "selective_scan_bwd_sum",
  source: sumSource,
  bindings: { partials: "read", grad_x_dbl: "write" },
  params: { rows: "u32", blocks: "u32" },
  overrides: ["D_STATE", "PADDED", "DT_RANK"],
  sizes: ({ D_STATE, PADDED, DT_RANK, rows, blocks }) => ({
    partials: blocks * rows * 2 * PADDED,
    grad_x_dbl: rows * (DT_RANK + 2 * D_STATE),
  }),
});

/** Channels over which the kernel adds up gradients of B and C: the kernel's SUMMED is at most this. */
const MAX_SUMMED = 8;

/** Views of a tensor start at multiples of 256 bytes. */
const VIEW_ALIGNMENT = 64;

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
    partials_BC: channelBlocks({ d_inner, d_state }) * batch * seqlen * 2 * padded(d_state),
    partials_params: partialsOfD({ batch, d_inner, d_state }) + batch * d_inner,
  };
}

/** What selectiveScanBwd() works on. */
interface ScanBwdTensors {
  readonly u: Tensor;
  readonly dt: Tensor;
  readonly x_dbl: Tensor;
  readonly xz: Tensor;
  readonly A_log: Tensor;
  readonly D: Tensor;
  readonly ssm_state: Tensor;
  readonly grad_y: Tensor;
  readonly grad_xz: Tensor;
  readonly grad_x_dbl: Tensor;
  readonly grad_A_log: Tensor;
  readonly grad_D: Tensor;
  readonly grad_state: Tensor;
  /** Scratch: see {@linkcode scanBwdScratch}. */
  readonly partials_BC: Tensor;
  /** Scratch: see {@linkcode scanBwdScratch}. */
  readonly partials_params: Tensor;
}

interface ScanBwdShape extends ScanSizes, ScanShape {
  readonly gradFinal?: boolean;
  readonly accumulate?: boolean;
  readonly label: string;
}

/**
 * Gradients of selectiveScanFwd(), which ran with `keep` and left ssm_state.
 *
 * In place: grad_y (batch, seqlen, d_inner), of the gated output, becomes grad_u; dt, before softplus, becomes
 * grad_dt; grad_state (batch, d_inner, d_state), of the final state, becomes that of the initial state.
 * Written: the z half of grad_xz (batch, seqlen, 2 d_inner), the B and C columns of grad_x_dbl (batch, seqlen, dt_rank +
 * 2 d_state), grad_A_log and grad_D.
 *
 * In one buffer, as they are one binding: dt behind u, D behind A_log, grad_state and partials_params behind grad_y.
 *
 * @param shape `gradFinal` false (default true): grad_state is taken to be zeros and only written. `accumulate`
 * (default false): grad_A_log and grad_D are added to.
 */
export function selectiveScanBwd(
  program: Program,
  tensors: ScanBwdTensors,
  shape: ScanBwdShape,
): void {
  const { batch, seqlen, d_inner, d_state, dt_rank, label } = shape;
  const { gradFinal = true, accumulate = false } = shape;
  const { grad_x_dbl, grad_xz, grad_A_log, grad_D, partials_BC, partials_params } = tensors;
  const { x_dbl, xz, ssm_state } = tensors;
  const { lanes, channels } = scanLanes(d_state);
  const { u_dt, A_log, grads } = sharedBindings(program.gpu, tensors, shape);
  const partials_D = partialsOfD(shape);
  const grad_A_start = grads.starts.partials_params;
  program.add(selectiveScanBwdKernel, {
    tensors: {
      ...{ u_dt: u_dt.tensor, x_dbl, xz, A_log: A_log.tensor, ssm_state },
      ...{ grads: grads.tensor, grad_xz, grad_BC: partials_BC },
    },
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      DT_RANK: dt_rank,
      LANES: lanes,
      CHANNELS: channels,
      GRAD_FINAL: gradFinal,
    },
    params: {
      seqlen,
      dt_start: u_dt.starts.dt,
      D_start: A_log.starts.D,
      grad_state_start: grads.starts.grad_state,
      grad_A_start,
      grad_D_start: grad_A_start + partials_D,
    },
    workgroups: [Math.ceil(d_inner / channels), batch, 1],
    label,
  });
  selectiveScanBwdSum(program, { partials: partials_BC, grad_x_dbl }, {
    rows: batch * seqlen,
    blocks: channelBlocks(shape),
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
    { partials: partials_params.view(4 * partials_D, [batch, d_inner]), y: grad_D },
    { parts: batch, size: d_inner, accumulate, label: `${label}.grad_D` },
  );
}

/** Those of its tensors that share a binding. */
function sharedBindings(gpu: Gpu, tensors: ScanBwdTensors, shape: ScanBwdShape) {
  const { u, dt, A_log, D, grad_y, grad_state, partials_params } = tensors;
  const { batch, seqlen, d_inner, d_state, label } = shape;
  const [elements, states] = [batch * seqlen * d_inner, d_inner * d_state];
  const use = `selective_scan_bwd in ${label}`;
  return {
    u_dt: spanOf(gpu, use, { u: [u, elements], dt: [dt, elements] }),
    A_log: spanOf(gpu, use, { A_log: [A_log, states], D: [D, d_inner] }),
    grads: spanOf(gpu, use, {
      grad_y: [grad_y, elements],
      grad_state: [grad_state, batch * states],
      partials_params: [partials_params, scanBwdScratch(shape).partials_params],
    }),
  };
}

/** The B and C columns of grad_x_dbl (rows, dt_rank + 2 d_state) from partials (blocks, rows, 2, padded(d_state)). */
export function selectiveScanBwdSum(
  program: Program,
  tensors: { partials: Tensor; grad_x_dbl: Tensor },
  shape: { rows: number; blocks: number; d_state: number; dt_rank: number; label: string },
): void {
  const { rows, blocks, d_state, dt_rank, label } = shape;
  program.add(selectiveScanBwdSumKernel, {
    tensors,
    overrides: { D_STATE: d_state, PADDED: padded(d_state), DT_RANK: dt_rank },
    params: { rows, blocks },
    workgroups: foldWorkgroups(Math.ceil(rows * 2 * d_state / 64)),
    label,
  });
}

/** States in the vectors that selective_scan_bwd writes: whole ones, of which nobody writes a part. */
function padded(d_state: number): number {
  return Math.ceil(d_state / 4) * 4;
}

/** Blocks of channels that the gradients of B and C are left in. */
function channelBlocks({ d_inner, d_state }: Pick<ScanShape, "d_inner" | "d_state">): number {
  const { channels } = scanLanes(d_state);
  return Math.ceil(d_inner / channels) * channels / Math.min(channels, MAX_SUMMED);
}

/** Where the partials of D begin, behind those of A_log. */
function partialsOfD({ batch, d_inner, d_state }: Omit<ScanShape, "seqlen">): number {
  return Math.ceil(batch * d_inner * d_state / VIEW_ALIGNMENT) * VIEW_ALIGNMENT;
}
