/** Gradients of Mamba-2's recurrence, chunk by chunk, from the chunk states that the forward kept. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import dtSource from "../../../kernels/ssd_dt_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import {
  SSD_HEADS,
  ssdCBFwd,
  ssdDecays,
  ssdPass,
  ssdScratch,
  type SsdShape,
  ssdStates,
} from "../ssd.ts";
import { dtLimits, type SsdOptions, ssdWidths } from "../../model/ssd_sizes.ts";
import { sumPartials } from "../sum_partials.ts";
import { chunkCount, layoutOfSums, sizeOfD } from "./ssd_bwd_layout.ts";
import { ssdSumsBwd } from "./ssd_sums_bwd.ts";
import { ssdBCBwd, ssdXCBBwd } from "./ssd_xbc_bwd.ts";

/** The gradients of dt, dt_bias and A_log. */
export const ssdDtBwdKernel = defineKernel({
  name: "ssd_dt_bwd",
  source: dtSource,
  bindings: {
    sums: "read",
    decays: "read",
    zxbcdt: "read",
    A_log: "read",
    dt_bias: "read",
    grad_zxbcdt: "write",
    partials: "write",
  },
  params: { seqlen: "u32", plane: "u32", A_start: "u32" },
  overrides: ["NHEADS", "DT_START", "CHUNK", "HEADS", "P_TILES", "N_TILES", "DT_MIN", "DT_MAX"],
  sizes: (
    { NHEADS, DT_START, P_TILES, N_TILES, seqlen, plane, A_start },
    [, chunks, batch],
  ) => ({
    sums: (P_TILES + 1 + 2 * N_TILES) * plane + batch * chunks * NHEADS,
    decays: batch * NHEADS * seqlen * 4,
    zxbcdt: batch * seqlen * (DT_START + NHEADS),
    A_log: NHEADS,
    dt_bias: NHEADS,
    grad_zxbcdt: batch * seqlen * (DT_START + NHEADS),
    partials: A_start + batch * chunks * NHEADS,
  }),
});

/** Views of a tensor start at multiples of 256 bytes. */
const VIEW_ALIGNMENT = 64;

/** Elements of the scratch tensors that ssdBwd() needs; all layers of a model can share them, and the forward's two. */
export function ssdBwdScratch(shape: SsdShape & SsdOptions): {
  decays: number;
  CB: number;
  grad_CB: number;
  grad_states: number;
  sums: number;
  partials: number;
} {
  const { decays, CB } = ssdScratch(shape);
  const { batch, nheads, headdim, d_state } = shape;
  return {
    decays,
    CB,
    grad_CB: CB,
    grad_states: batch * chunkCount(shape) * nheads * headdim * d_state,
    sums: layoutOfSums(shape).end,
    partials: startsOfPartials(shape).end,
  };
}

/**
 * Gradients of ssdFwd(), which ran with `chunk` and left ssm_state.
 *
 * Written: grad_xBC (batch, seqlen, conv_dim), the dt columns of grad_zxbcdt (batch, seqlen, d_in_proj), grad_A_log, grad_D
 * and grad_dt_bias. In place: grad_state (batch, nheads, headdim, d_state), of the final state, becomes that of the
 * initial state.
 *
 * @param tensors grad_y (batch, seqlen, d_inner) is that of y, before gate and norm. From decays on: scratch, see
 * {@linkcode ssdBwdScratch}.
 * @param shape `gradFinal` false (default true): grad_state is taken to be zeros and only written. `accumulate`
 * (default false): grad_A_log, grad_D and grad_dt_bias are added to.
 */
export function ssdBwd(
  program: Program,
  tensors: {
    xBC: Tensor;
    zxbcdt: Tensor;
    A_log: Tensor;
    D: Tensor;
    dt_bias: Tensor;
    ssm_state: Tensor;
    grad_y: Tensor;
    grad_xBC: Tensor;
    grad_zxbcdt: Tensor;
    grad_A_log: Tensor;
    grad_D: Tensor;
    grad_dt_bias: Tensor;
    grad_state: Tensor;
    decays: Tensor;
    CB: Tensor;
    grad_CB: Tensor;
    grad_states: Tensor;
    sums: Tensor;
    partials: Tensor;
  },
  shape: SsdShape & SsdOptions & { gradFinal?: boolean; accumulate?: boolean; label: string },
): void {
  const { gradFinal = true } = shape;
  const { xBC, zxbcdt, A_log, dt_bias, grad_y, grad_state, decays, CB, grad_states } = tensors;
  ssdDecays(program, { zxbcdt, A_log, dt_bias, decays }, shape);
  ssdCBFwd(program, { xBC, CB }, shape);
  ssdStates(program, { x: grad_y, xBC, decays, states: grad_states }, {
    ...shape,
    keep: false,
    backward: true,
  });
  ssdPass(program, { decays, states: grad_states, ssm_state: grad_state }, {
    ...shape,
    keep: false,
    reverse: true,
    fromZero: !gradFinal,
  });
  ssdXCBBwd(program, tensors, shape);
  ssdBCBwd(program, tensors, shape);
  ssdDtBwd(program, tensors, shape);
}

/** The gradients of dt, dt_bias, A_log and D. */
function ssdDtBwd(
  program: Program,
  tensors: Parameters<typeof ssdBwd>[1],
  shape: Parameters<typeof ssdBwd>[2],
): void {
  const { xBC, zxbcdt, A_log, dt_bias, ssm_state, grad_y, grad_zxbcdt } = tensors;
  const { decays, grad_states, sums, partials } = tensors;
  const { batch, seqlen, nheads, chunk, accumulate = false, label } = shape;
  const chunks = chunkCount(shape);
  const parts = batch * chunks;
  const starts = startsOfPartials(shape);
  const { p_tiles, n_tiles, plane } = layoutOfSums(shape);
  const D_size = sizeOfD(shape);
  const partials_D = partials.view(4 * starts.D, [parts, D_size]);
  ssdSumsBwd(program, { xBC, grad_y, ssm_state, grad_states, sums, partials: partials_D }, shape);
  const heads = Math.min(SSD_HEADS, nheads);
  program.add(ssdDtBwdKernel, {
    tensors: { sums, decays, zxbcdt, A_log, dt_bias, grad_zxbcdt, partials },
    overrides: {
      NHEADS: nheads,
      DT_START: ssdWidths(shape).d_in_proj - nheads,
      CHUNK: chunk,
      HEADS: heads,
      P_TILES: p_tiles,
      N_TILES: n_tiles,
      ...dtLimits(shape.dt_limit),
    },
    params: { seqlen, plane, A_start: starts.A_log },
    workgroups: [Math.ceil(nheads / heads), chunks, batch],
    label: `${label}.dt`,
  });
  const sumUp = (name: "dt_bias" | "A_log" | "D", size: number, gradient: Tensor) =>
    sumPartials(
      program,
      { partials: partials.view(4 * starts[name], [parts, size]), y: gradient },
      { parts, size, accumulate, label: `${label}.grad_${name}` },
    );
  sumUp("dt_bias", nheads, tensors.grad_dt_bias);
  sumUp("A_log", nheads, tensors.grad_A_log);
  sumUp("D", D_size, tensors.grad_D);
}

/** Where the partials of each parameter begin. */
function startsOfPartials(
  shape: SsdShape & SsdOptions,
): { dt_bias: 0; A_log: number; D: number; end: number } {
  const parts = shape.batch * chunkCount(shape);
  const perHead = Math.ceil(parts * shape.nheads / VIEW_ALIGNMENT) * VIEW_ALIGNMENT;
  return { dt_bias: 0, A_log: perHead, D: 2 * perHead, end: 2 * perHead + parts * sizeOfD(shape) };
}
