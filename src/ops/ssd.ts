/** The Mamba-2 recurrence over a sequence, in chunks: matrix products inside a chunk, a state from chunk to chunk. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import cbSource from "../../kernels/ssd_cb_fwd.wgsl" with { type: "text" };
import decaysSource from "../../kernels/ssd_decays.wgsl" with { type: "text" };
import passSource from "../../kernels/ssd_pass.wgsl" with { type: "text" };
import statesSource from "../../kernels/ssd_states.wgsl" with { type: "text" };
import ySource from "../../kernels/ssd_y_fwd.wgsl" with { type: "text" };
import { defineKernel } from "./define_kernel.ts";
import { areMultiplesOf4 } from "./matmul_tile.ts";
import {
  dtLimits,
  SSD_CHUNK,
  type SsdOptions,
  type SsdSizes,
  ssdWidths,
} from "../model/ssd_sizes.ts";
import { byVec4sOrElements, placeholders } from "./placeholders.ts";

/** Sizes of what the kernels of the chunks read, from their overrides and params. */
export function chunkSizes(
  { NHEADS, HEADDIM, D_STATE, NGROUPS, seqlen }: Readonly<
    Record<"NHEADS" | "HEADDIM" | "D_STATE" | "NGROUPS" | "seqlen", number>
  >,
  batch: number,
): { rows: number; d_inner: number; conv_dim: number; decays: number } {
  const sizes = { nheads: NHEADS, headdim: HEADDIM, d_state: D_STATE, ngroups: NGROUPS };
  const { d_inner, conv_dim } = ssdWidths(sizes);
  return { rows: batch * seqlen, d_inner, conv_dim, decays: batch * NHEADS * seqlen * 4 };
}

/** dt and the decay of every step. */
export const ssdDecaysKernel = defineKernel({
  name: "ssd_decays",
  source: decaysSource,
  bindings: { zxbcdt: "read", A_log: "read", dt_bias: "read", decays: "write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "DT_START", "CHUNK", "HEADS", "DT_MIN", "DT_MAX"],
  sizes: ({ NHEADS, DT_START, seqlen }, [, , batch]) => ({
    zxbcdt: batch * seqlen * (DT_START + NHEADS),
    A_log: NHEADS,
    dt_bias: NHEADS,
    decays: batch * NHEADS * seqlen * 4,
  }),
});

/** C . B of every two steps of a chunk. */
export const ssdCBFwdKernel = defineKernel({
  name: "ssd_cb_fwd",
  source: cbSource,
  preludes: ["_tile", "_ssd"],
  bindings: { xBC: "read", CB: "write" },
  params: { seqlen: "u32" },
  overrides: ["D_INNER", "D_STATE", "NGROUPS", "CHUNK", "ALIGNED"],
  sizes: ({ D_INNER, D_STATE, NGROUPS, CHUNK, seqlen }, [, chunks, batch]) => ({
    xBC: batch * seqlen * (D_INNER + 2 * NGROUPS * D_STATE),
    CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
  }),
});

/** What each chunk adds to the state, or to its gradient. */
export const ssdStatesKernel = defineKernel({
  name: "ssd_states",
  source: statesSource,
  preludes: ["_tile", "_ssd"],
  bindings: { x: "read", xBC: "read", decays: "read", states: "write", states_elements: "write" },
  params: { seqlen: "u32" },
  overrides: [
    "NHEADS",
    "HEADDIM",
    "D_STATE",
    "NGROUPS",
    "CHUNK",
    "KEEP",
    "BACKWARD",
    "ALIGNED",
  ],
  sizes: (values, [, chunks, batch]) => {
    const { D_STATE, KEEP, BACKWARD, ALIGNED } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    const states = batch * (chunks + KEEP) * d_inner * D_STATE;
    return {
      x: rows * (BACKWARD ? d_inner : conv_dim),
      xBC: rows * conv_dim,
      decays,
      states: ALIGNED ? states : 0,
      states_elements: ALIGNED ? 0 : states,
    };
  },
});

/** The state from chunk to chunk, either way. */
export const ssdPassKernel = defineKernel({
  name: "ssd_pass",
  source: passSource,
  bindings: { decays: "read", states: "read_write", ssm_state: "read_write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "SIZE", "CHUNK", "KEEP", "REVERSE", "FROM_ZERO"],
  sizes: ({ NHEADS, SIZE, CHUNK, KEEP, seqlen }, [, batch]) => ({
    decays: batch * NHEADS * seqlen * 4,
    states: batch * (Math.ceil(seqlen / CHUNK) + KEEP) * NHEADS * SIZE,
    ssm_state: KEEP ? 0 : batch * NHEADS * SIZE,
  }),
});

/** The output. */
export const ssdYFwdKernel = defineKernel({
  name: "ssd_y_fwd",
  source: ySource,
  preludes: ["_tile", "_ssd"],
  bindings: {
    xBC: "read",
    decays: "read",
    CB: "read",
    states: "read",
    D: "read",
    y: "write",
    y_elements: "write",
  },
  params: { seqlen: "u32" },
  overrides: [
    "NHEADS",
    "HEADDIM",
    "D_STATE",
    "NGROUPS",
    "CHUNK",
    "KEEP",
    "D_HAS_HDIM",
    "ALIGNED",
  ],
  sizes: (values, [, chunks, batch]) => {
    const { NHEADS, D_STATE, NGROUPS, CHUNK, KEEP, D_HAS_HDIM, ALIGNED } = values;
    const { rows, d_inner, conv_dim, decays } = chunkSizes(values, batch);
    const y = rows * d_inner;
    return {
      xBC: rows * conv_dim,
      decays,
      CB: batch * chunks * NGROUPS * CHUNK * CHUNK,
      states: batch * (chunks + KEEP) * d_inner * D_STATE,
      D: D_HAS_HDIM ? d_inner : NHEADS,
      y: ALIGNED ? y : 0,
      y_elements: ALIGNED ? 0 : y,
    };
  },
});

/** Side of the kernels' tiles. */
export const SSD_TILE = 64;

/** Heads that a workgroup of ssd_decays and ssd_dt_bwd serves. */
export const SSD_HEADS = 8;

/** A batch in chunks. */
export interface SsdShape extends SsdSizes {
  readonly batch: number;
  readonly seqlen: number;
  readonly chunk: number;
}

/** Elements of the scratch tensors that ssdFwd() needs; all layers of a model can share them. */
export function ssdScratch(
  shape: SsdSizes & { batch: number; seqlen: number; chunk?: number },
): { decays: number; CB: number; states: number } {
  const { batch, seqlen, nheads, headdim, d_state, ngroups, chunk = 0 } = shape;
  const length = chunk > 0 ? chunk : SSD_CHUNK;
  const chunks = Math.ceil(seqlen / length);
  return {
    decays: batch * nheads * seqlen * 4,
    CB: batch * chunks * ngroups * length * length,
    states: chunk > 0 ? 0 : batch * chunks * nheads * headdim * d_state,
  };
}

/** The like, enough for any `batch` sequences that have `rows` steps together; with `keepsStates` for a chunk above 0. */
export function ssdActivations(
  { nheads, headdim, d_state, ngroups }: SsdSizes,
  { rows, batch, keepsStates = false }: { rows: number; batch: number; keepsStates?: boolean },
): { decays: number; CB: number; states: number } {
  // Each sequence's last chunk may be a short one.
  const chunks = Math.ceil(rows / SSD_CHUNK) + batch;
  return {
    decays: rows * nheads * 4,
    CB: chunks * ngroups * SSD_CHUNK * SSD_CHUNK,
    states: keepsStates ? 0 : chunks * nheads * headdim * d_state,
  };
}

/**
 * y (batch, seqlen, d_inner), before gate and norm; ssm_state (batch, nheads, headdim, d_state) moves on.
 *
 * The state is where the recurrence step by step would have left it, up to rounding, whatever the chunk's length.
 *
 * @param tensors xBC (batch, seqlen, conv_dim) is conv1d's output; zxbcdt (batch, seqlen, d_in_proj) in_proj's, of which
 * dt is read. decays, CB and states are scratch, see {@linkcode ssdScratch}.
 * @param shape With a `chunk` (default 0), as training needs it, `states` is not used, and ssm_state is (batch, chunks + 1,
 * nheads, headdim, d_state) with chunks = ceil(seqlen / chunk): slot 0 is the initial state and stays, slot c + 1 becomes
 * the state after chunk c, the last slot the final state.
 * @throws {RangeError} If the chunk is longer than {@linkcode SSD_CHUNK}.
 */
export function ssdFwd(
  program: Program,
  tensors: {
    xBC: Tensor;
    zxbcdt: Tensor;
    A_log: Tensor;
    D: Tensor;
    dt_bias: Tensor;
    ssm_state: Tensor;
    y: Tensor;
    decays: Tensor;
    CB: Tensor;
    states?: Tensor | undefined;
  },
  shape: SsdSizes & SsdOptions & {
    batch: number;
    seqlen: number;
    chunk?: number;
    label: string;
  },
): void {
  const { label } = shape;
  const { xBC, zxbcdt, A_log, D, dt_bias, ssm_state, y, decays, CB } = tensors;
  const keep = (shape.chunk ?? 0) > 0;
  const states = keep ? ssm_state : tensors.states;
  if (states === undefined) {
    throw new TypeError(
      `Cannot run ${label}: without a chunk it needs the scratch tensor "states"`,
    );
  }
  const chunked = { ...shape, chunk: shape.chunk || SSD_CHUNK };
  ssdDecays(program, { zxbcdt, A_log, dt_bias, decays }, chunked);
  ssdChunksFwd(program, { xBC, D, ssm_state, y, decays, CB, states }, { ...chunked, keep });
}

/**
 * What follows once decays are there: y, and the state in ssm_state, or with `keep` in all slots of states.
 */
export function ssdChunksFwd(
  program: Program,
  tensors: {
    xBC: Tensor;
    D: Tensor;
    ssm_state: Tensor;
    y: Tensor;
    decays: Tensor;
    CB: Tensor;
    states: Tensor;
  },
  shape: SsdShape & SsdOptions & { keep: boolean; label: string },
): void {
  const { xBC, D, ssm_state, y, decays, CB, states } = tensors;
  const { nheads, headdim, d_state, ngroups, D_has_hdim = false, label } = shape;
  const { batch, seqlen, chunk, keep } = shape;
  ssdCBFwd(program, { xBC, CB }, shape);
  ssdStates(program, { x: xBC, xBC, decays, states }, { ...shape, backward: false });
  ssdPass(
    program,
    { decays, states, ssm_state: keep ? placeholders(program.gpu).write : ssm_state },
    { ...shape, reverse: false, fromZero: false },
  );
  const isAligned = areMultiplesOf4(headdim, d_state);
  const [y_vec4s, y_elements] = byVec4sOrElements(program.gpu, y, isAligned);
  program.add(ssdYFwdKernel, {
    tensors: { xBC, decays, CB, states, D, y: y_vec4s, y_elements },
    overrides: {
      NHEADS: nheads,
      HEADDIM: headdim,
      D_STATE: d_state,
      NGROUPS: ngroups,
      CHUNK: chunk,
      KEEP: keep,
      D_HAS_HDIM: D_has_hdim,
      ALIGNED: isAligned,
    },
    params: { seqlen },
    workgroups: [nheads * Math.ceil(headdim / SSD_TILE), Math.ceil(seqlen / chunk), batch],
    label: `${label}.y`,
  });
}

/** decays (batch, nheads, seqlen, 4): see the kernel. */
export function ssdDecays(
  program: Program,
  tensors: { zxbcdt: Tensor; A_log: Tensor; dt_bias: Tensor; decays: Tensor },
  shape: SsdShape & SsdOptions & { label: string },
): void {
  const { batch, seqlen, nheads, chunk, label } = shape;
  if (chunk > SSD_CHUNK) {
    throw new RangeError(
      `Cannot run ${label}: chunk is ${chunk}, and it must be at most ${SSD_CHUNK}`,
    );
  }
  const heads = Math.min(SSD_HEADS, nheads);
  program.add(ssdDecaysKernel, {
    tensors,
    overrides: {
      NHEADS: nheads,
      DT_START: ssdWidths(shape).d_in_proj - nheads,
      CHUNK: chunk,
      HEADS: heads,
      ...dtLimits(shape.dt_limit),
    },
    params: { seqlen },
    workgroups: [Math.ceil(nheads / heads), Math.ceil(seqlen / chunk), batch],
    label: `${label}.decays`,
  });
}

/** CB (batch, chunks, ngroups, chunk, chunk): C[t] . B[s] at [t, s], for s <= t. */
export function ssdCBFwd(
  program: Program,
  tensors: { xBC: Tensor; CB: Tensor },
  shape: SsdShape & { label: string },
): void {
  const { batch, seqlen, d_state, ngroups, chunk, label } = shape;
  const { d_inner } = ssdWidths(shape);
  program.add(ssdCBFwdKernel, {
    tensors,
    overrides: {
      D_INNER: d_inner,
      D_STATE: d_state,
      NGROUPS: ngroups,
      CHUNK: chunk,
      ALIGNED: areMultiplesOf4(d_inner, d_state),
    },
    params: { seqlen },
    workgroups: [ngroups, Math.ceil(seqlen / chunk), batch],
    label: `${label}.CB`,
  });
}

/** What each chunk by itself adds to the state, or `backward` to the state's gradient, in states (batch, slots, ...). */
export function ssdStates(
  program: Program,
  tensors: { x: Tensor; xBC: Tensor; decays: Tensor; states: Tensor },
  shape: SsdShape & { keep: boolean; backward: boolean; label: string },
): void {
  const { batch, seqlen, nheads, headdim, d_state, ngroups, chunk, keep, backward, label } = shape;
  const isAligned = areMultiplesOf4(headdim, d_state);
  const [states, states_elements] = byVec4sOrElements(program.gpu, tensors.states, isAligned);
  program.add(ssdStatesKernel, {
    tensors: { ...tensors, states, states_elements },
    overrides: {
      NHEADS: nheads,
      HEADDIM: headdim,
      D_STATE: d_state,
      NGROUPS: ngroups,
      CHUNK: chunk,
      KEEP: keep,
      BACKWARD: backward,
      ALIGNED: isAligned,
    },
    params: { seqlen },
    workgroups: [
      nheads * Math.ceil(headdim / SSD_TILE) * Math.ceil(d_state / SSD_TILE),
      Math.ceil(seqlen / chunk),
      batch,
    ],
    label: `${label}.states`,
  });
}

/** Carries the state, or `reverse` its gradient, from chunk to chunk: see the kernel. */
export function ssdPass(
  program: Program,
  tensors: { decays: Tensor; states: Tensor; ssm_state: Tensor },
  shape: SsdShape & { keep: boolean; reverse: boolean; fromZero: boolean; label: string },
): void {
  const { batch, seqlen, nheads, headdim, d_state, chunk, keep, reverse, fromZero, label } = shape;
  program.add(ssdPassKernel, {
    tensors,
    overrides: {
      NHEADS: nheads,
      SIZE: headdim * d_state,
      CHUNK: chunk,
      KEEP: keep,
      REVERSE: reverse,
      FROM_ZERO: fromZero,
    },
    params: { seqlen },
    workgroups: [Math.ceil(nheads * headdim * d_state / 64), batch, 1],
    label: `${label}.pass`,
  });
}
