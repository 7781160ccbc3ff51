/** Gradients of Mamba-2's recurrence, chunk by chunk, from the chunk states that the forward kept. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import bcSource from "../../../kernels/ssd_bc_bwd.wgsl" with { type: "text" };
import cbSource from "../../../kernels/ssd_cb_bwd.wgsl" with { type: "text" };
import dtSource from "../../../kernels/ssd_dt_bwd.wgsl" with { type: "text" };
import sumsSource from "../../../kernels/ssd_sums_bwd.wgsl" with { type: "text" };
import xSource from "../../../kernels/ssd_x_bwd.wgsl" with { type: "text" };
import { defineKernel } from "../define_kernel.ts";
import { areMultiplesOf4 } from "../matmul_tile.ts";
import {
  chunkSizes,
  SSD_HEADS,
  SSD_TILE,
  ssdCBFwd,
  ssdDecays,
  ssdPass,
  ssdScratch,
  type SsdShape,
  ssdStates,
} from "../ssd.ts";
import { dtLimits, type SsdOptions, type SsdSizes, ssdWidths } from "../../model/ssd_sizes.ts";
import { sumPartials } from "../sum_partials.ts";

/** The gradient of x. */
export const ssdXBwdKernel = defineKernel({
  name: "ssd_x_bwd",
  source: xSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    CB: "read",
    grad_states: "read",
    D: "read",
    grad_y: "read",
    grad_xBC: "write",
    sums: "write",
  },
  params: { seqlen: "u32", plane: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "D_HAS_HDIM", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, NGROUPS, CHUNK, D_HAS_HDIM, plane } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      decays,
      CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
      grad_states: batch * chunks * d_inner * D_STATE,
      D: D_HAS_HDIM ? d_inner : NHEADS,
      grad_y: rows * d_inner,
      grad_xBC: rows * conv_dim,
      sums: Math.ceil(HEADDIM / SSD_TILE) * plane,
    };
  },
});

/** The gradient of C . B of every two steps of a chunk. */
export const ssdCBBwdKernel = defineKernel({
  name: "ssd_cb_bwd",
  source: cbSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    CB: "read",
    grad_y: "read",
    grad_CB: "write",
    sums: "write",
  },
  params: { seqlen: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, NGROUPS, CHUNK, start } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    const CB = batch * chunks * NGROUPS * CHUNK * CHUNK;
    return {
      xBC: rows * conv_dim,
      decays,
      CB,
      grad_y: rows * d_inner,
      grad_CB: CB,
      sums: start + rows * NHEADS,
    };
  },
});

/** The gradients of B and C. */
export const ssdBCBwdKernel = defineKernel({
  name: "ssd_bc_bwd",
  source: bcSource,
  preludes: ["_tile", "_ssd", "_ssd_bwd"],
  bindings: {
    xBC: "read",
    decays: "read",
    grad_CB: "read",
    ssm_state: "read",
    grad_states: "read",
    grad_y: "read",
    grad_xBC: "write",
    sums: "write",
  },
  params: { seqlen: "u32", plane: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "ALIGNED"],
  sizes: (values, [, chunks, batch]) => {
    const { D_STATE, NGROUPS, CHUNK, plane, start } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      decays,
      grad_CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
      ssm_state: batch * (chunks + 1) * d_inner * D_STATE,
      grad_states: batch * chunks * d_inner * D_STATE,
      grad_y: rows * d_inner,
      grad_xBC: rows * conv_dim,
      sums: start + 2 * Math.ceil(D_STATE / SSD_TILE) * plane,
    };
  },
});

/** The gradient of D, and products of states, for those of dt and A. */
export const ssdSumsBwdKernel = defineKernel({
  name: "ssd_sums_bwd",
  source: sumsSource,
  bindings: {
    xBC: "read",
    grad_y: "read",
    ssm_state: "read",
    grad_states: "read",
    sums: "write",
    partials: "write",
  },
  params: { seqlen: "u32", start: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "NGROUPS", "CHUNK", "D_HAS_HDIM"],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, D_STATE, D_HAS_HDIM, start } = values;
    const { rows, d_inner, conv_dim } = chunkSizes(values, batch);
    return {
      xBC: rows * conv_dim,
      grad_y: rows * d_inner,
      ssm_state: batch * (chunks + 1) * d_inner * D_STATE,
      grad_states: batch * chunks * d_inner * D_STATE,
      sums: start + batch * chunks * NHEADS,
      partials: batch * chunks * (D_HAS_HDIM ? d_inner : NHEADS),
    };
  },
});

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

/** What the gradients of x, B and C are made from, and the sums that they leave. */
type XBCTensors = Pick<
  Parameters<typeof ssdBwd>[1],
  | ("xBC" | "D" | "ssm_state" | "grad_y" | "grad_xBC" | "decays" | "CB" | "grad_CB")
  | ("grad_states" | "sums")
>;

/** The gradients of x, and of C . B of every two steps of a chunk, and sums over channels for ssdDtBwd(). */
export function ssdXCBBwd(
  program: Program,
  tensors: XBCTensors,
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { xBC, D, grad_y, grad_xBC, decays, CB, grad_CB, grad_states, sums } = tensors;
  const { batch, seqlen, nheads, ngroups, D_has_hdim = false, label } = shape;
  const overrides = sizeOverrides(shape);
  const isAligned = areMultiplesOf4(shape.headdim, shape.d_state);
  const chunks = chunkCount(shape);
  const { p_tiles, plane, ...starts } = layoutOfSums(shape);
  program.add(ssdXBwdKernel, {
    tensors: { xBC, decays, CB, grad_states, D, grad_y, grad_xBC, sums },
    overrides: { ...overrides, D_HAS_HDIM: D_has_hdim, ALIGNED: isAligned },
    params: { seqlen, plane },
    workgroups: [nheads * p_tiles, chunks, batch],
    label: `${label}.x`,
  });
  program.add(ssdCBBwdKernel, {
    tensors: { xBC, decays, CB, grad_y, grad_CB, sums },
    overrides: { ...overrides, ALIGNED: isAligned },
    params: { seqlen, start: starts.CB },
    workgroups: [ngroups, chunks, batch],
    label: `${label}.CB`,
  });
}

/** The gradients of B and C, and sums over states for ssdDtBwd(). */
export function ssdBCBwd(
  program: Program,
  tensors: XBCTensors,
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { xBC, ssm_state, grad_y, grad_xBC, decays, grad_CB, grad_states, sums } = tensors;
  const { batch, seqlen, ngroups, headdim, d_state, chunk, label } = shape;
  const chunks = chunkCount(shape);
  const { n_tiles, plane, ...starts } = layoutOfSums(shape);
  program.add(ssdBCBwdKernel, {
    tensors: { xBC, decays, grad_CB, ssm_state, grad_states, grad_y, grad_xBC, sums },
    overrides: { ...sizeOverrides(shape), ALIGNED: areMultiplesOf4(headdim, d_state, chunk) },
    params: { seqlen, plane, start: starts.BC },
    workgroups: [ngroups * 2 * n_tiles, chunks, batch],
    label: `${label}.BC`,
  });
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

/** Partials of D's gradient (batch, chunks, ...), and sums over states for ssdDtBwd(). */
export function ssdSumsBwd(
  program: Program,
  tensors: {
    xBC: Tensor;
    grad_y: Tensor;
    ssm_state: Tensor;
    grad_states: Tensor;
    sums: Tensor;
    partials: Tensor;
  },
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { batch, seqlen, nheads, D_has_hdim = false, label } = shape;
  program.add(ssdSumsBwdKernel, {
    tensors,
    overrides: { ...sizeOverrides(shape), D_HAS_HDIM: D_has_hdim },
    params: { seqlen, start: layoutOfSums(shape).state },
    workgroups: [nheads, chunkCount(shape), batch],
    label: `${label}.sums`,
  });
}

function sizeOverrides({ nheads, headdim, d_state, ngroups, chunk }: SsdShape) {
  return { NHEADS: nheads, HEADDIM: headdim, D_STATE: d_state, NGROUPS: ngroups, CHUNK: chunk };
}

function chunkCount({ seqlen, chunk }: SsdShape): number {
  return Math.ceil(seqlen / chunk);
}

function sizeOfD({ nheads, headdim, D_has_hdim }: SsdSizes & SsdOptions): number {
  return D_has_hdim ? nheads * headdim : nheads;
}

/** How the sums lie that the kernels hand to ssd_dt_bwd: planes of x by tile of channels, of CB, of B and C by tile of states. */
export function layoutOfSums(shape: SsdShape) {
  const { batch, seqlen, nheads, headdim, d_state } = shape;
  const plane = batch * nheads * seqlen;
  const [p_tiles, n_tiles] = [Math.ceil(headdim / SSD_TILE), Math.ceil(d_state / SSD_TILE)];
  const CB = p_tiles * plane;
  const BC = CB + plane;
  const state = BC + 2 * n_tiles * plane;
  return {
    p_tiles,
    n_tiles,
    plane,
    CB,
    BC,
    state,
    end: state + batch * chunkCount(shape) * nheads,
  };
}

/** Where the partials of each parameter begin. */
function startsOfPartials(
  shape: SsdShape & SsdOptions,
): { dt_bias: 0; A_log: number; D: number; end: number } {
  const parts = shape.batch * chunkCount(shape);
  const perHead = Math.ceil(parts * shape.nheads / VIEW_ALIGNMENT) * VIEW_ALIGNMENT;
  return { dt_bias: 0, A_log: perHead, D: 2 * perHead, end: 2 * perHead + parts * sizeOfD(shape) };
}
