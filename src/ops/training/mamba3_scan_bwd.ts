/** Gradients of the recurrence of Mamba-3, by the kernels of Mamba-2's chunks, and what is around them. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import carrySource from "../../../kernels/mamba3_carry_bwd.wgsl" with { type: "text" };
import decaysSource from "../../../kernels/mamba3_decays_bwd.wgsl" with { type: "text" };
import mimoXSource from "../../../kernels/mamba3_mimo_x_bwd.wgsl" with { type: "text" };
import skipSource from "../../../kernels/mamba3_skip_bwd.wgsl" with { type: "text" };
import type { Mamba3Sizes } from "../../model/mamba3_sizes.ts";
import { defineKernel } from "../define_kernel.ts";
import { mamba3Overrides } from "../mamba3_inputs.ts";
import { asSsdShape, mamba3Decays } from "../mamba3_scan.ts";
import { placeholders } from "../placeholders.ts";
import { ssdCBFwd, ssdPass, ssdStates } from "../ssd.ts";
import { sumPartials } from "../sum_partials.ts";
import { layoutOfSums } from "./ssd_bwd_layout.ts";
import { ssdSumsBwd } from "./ssd_sums_bwd.ts";
import { ssdBCBwd, ssdXCBBwd } from "./ssd_xbc_bwd.ts";

/** Lanes of a workgroup of mamba3_decays_bwd and mamba3_mimo_x_bwd. */
const LANES = 64;

/** What mamba3_skip adds to gradients. */
export const mamba3SkipBwdKernel = defineKernel({
  name: "mamba3_skip_bwd",
  source: skipSource,
  preludes: ["_mamba3_skip"],
  bindings: {
    rates: "read",
    vkq: "read",
    CB: "read",
    grad_y: "read",
    grad_CB: "read_write",
    grad_vkq: "read_write",
    skips: "write",
  },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "CHUNK"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, CHUNK }, [, seqlen, batch]) => {
    const CB = batch * Math.ceil(seqlen * RANK / CHUNK) * NHEADS * CHUNK * CHUNK;
    const vkq = batch * seqlen * RANK * NHEADS * (HEADDIM + 2 * D_STATE);
    return {
      rates: batch * NHEADS * seqlen * 4,
      vkq,
      CB,
      grad_y: batch * seqlen * RANK * NHEADS * HEADDIM,
      grad_CB: CB,
      grad_vkq: vkq,
      skips: batch * NHEADS * seqlen * 2,
    };
  },
});

/** The gradients of the rates, but for what the state brings. */
export const mamba3DecaysBwdKernel = defineKernel({
  name: "mamba3_decays_bwd",
  source: decaysSource,
  bindings: { sums: "read", decays: "read", skips: "read", grad_rates: "read_write" },
  params: { seqlen: "u32", plane: "u32" },
  overrides: ["NHEADS", "RANK", "CHUNK", "P_TILES", "N_TILES"],
  sizes: ({ NHEADS, RANK, P_TILES, N_TILES, seqlen, plane }, [, chunks, batch]) => ({
    sums: (P_TILES + 1 + 2 * N_TILES) * plane + batch * chunks * NHEADS,
    decays: batch * NHEADS * seqlen * RANK * 4,
    skips: batch * NHEADS * seqlen * 2,
    grad_rates: batch * NHEADS * seqlen * 4,
  }),
});

/** That. */
export const mamba3CarryBwdKernel = defineKernel({
  name: "mamba3_carry_bwd",
  source: carrySource,
  bindings: { grad_state: "read", k: "read", v: "read", mimo_x: "read", grad_rates: "write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "MIMO"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, MIMO, seqlen }, [, batch]) => ({
    grad_state: batch * NHEADS * HEADDIM * D_STATE,
    k: batch * RANK * NHEADS * D_STATE,
    v: batch * NHEADS * HEADDIM,
    mimo_x: MIMO * NHEADS * RANK * HEADDIM,
    grad_rates: batch * NHEADS * seqlen * 4,
  }),
});

/** What the state brings to mimo_x. */
export const mamba3MimoXBwdKernel = defineKernel({
  name: "mamba3_mimo_x_bwd",
  source: mimoXSource,
  bindings: { rates: "read", grad_state: "read", k: "read", v: "read", grad_mimo_x: "write" },
  params: { seqlen: "u32", batch: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, seqlen, batch }) => ({
    rates: batch * NHEADS * seqlen * 4,
    grad_state: batch * NHEADS * HEADDIM * D_STATE,
    k: batch * RANK * NHEADS * D_STATE,
    v: batch * NHEADS * HEADDIM,
    grad_mimo_x: NHEADS * RANK * HEADDIM,
  }),
});

/** Elements of the scratch tensors that mamba3ScanBwd() needs; all layers of a model can share them. */
export function mamba3ScanBwdScratch(shape: Mamba3Sizes & { batch: number; seqlen: number }) {
  const { batch, seqlen, nheads, headdim, d_state } = shape;
  const chunked = asSsdShape({ ...shape, label: "" });
  const chunks = Math.ceil(chunked.seqlen / chunked.chunk);
  return {
    grad_CB: batch * chunks * nheads * chunked.chunk ** 2,
    grad_states: batch * chunks * nheads * headdim * d_state,
    sums: layoutOfSums(chunked).end,
    skips: batch * nheads * seqlen * 2,
    partials: batch * chunks * nheads,
  };
}

/**
 * Gradients of mamba3Scan(), which ran with `keep`; nothing comes from the final state.
 *
 * Written: grad_vkq (batch, seqlen, mimo_rank, [v, k, q]), grad_rates (batch, nheads, seqlen, 4), the first of each 0,
 * grad_D, and in grad_mimo_x what mimo_x has by the step before the first.
 *
 * @param tensors k and v are those of the step before the first. grad_y (batch, seqlen, mimo_rank, d_inner). grad_state
 * (batch, nheads, headdim, d_state) becomes the gradient of what the state is with what the step before the first brings; it
 * is scratch, as is all from decays on: see {@linkcode mamba3ScanBwdScratch}.
 */
export function mamba3ScanBwd(
  program: Program,
  tensors: {
    vkq: Tensor;
    rates: Tensor;
    mimo_x?: Tensor | undefined;
    D: Tensor;
    k: Tensor;
    v: Tensor;
    states: Tensor;
    grad_y: Tensor;
    grad_vkq: Tensor;
    grad_rates: Tensor;
    grad_D: Tensor;
    grad_mimo_x?: Tensor | undefined;
    grad_state: Tensor;
    decays: Tensor;
    CB: Tensor;
    grad_CB: Tensor;
    grad_states: Tensor;
    sums: Tensor;
    skips: Tensor;
    partials: Tensor;
  },
  shape: Mamba3Sizes & { batch: number; seqlen: number; label: string },
): void {
  const { vkq, rates, D, k, v, states, grad_y, grad_vkq, grad_rates, grad_state } = tensors;
  const { decays, CB, grad_CB, grad_states, sums, skips, partials } = tensors;
  const { batch, seqlen, nheads, label } = shape;
  const chunked = asSsdShape(shape);
  const { chunk } = chunked;
  const chunks = Math.ceil(chunked.seqlen / chunk);
  mamba3Decays(program, { rates, decays }, shape);
  ssdCBFwd(program, { xBC: vkq, CB }, chunked);
  const backward = { x: grad_y, xBC: vkq, decays, states: grad_states };
  ssdStates(program, backward, { ...chunked, keep: false, backward: true });
  ssdPass(program, { decays, states: grad_states, ssm_state: grad_state }, {
    ...chunked,
    ...{ keep: false, reverse: true, fromZero: true },
  });
  const own = {
    ...{ xBC: vkq, D, ssm_state: states, grad_y, grad_xBC: grad_vkq, decays, CB },
    ...{ grad_CB, grad_states, sums },
  };
  ssdXCBBwd(program, own, chunked);
  const { D_IN_PROJ: _, MIMO, ...overrides } = mamba3Overrides(shape);
  program.add(mamba3SkipBwdKernel, {
    tensors: { rates, vkq, CB, grad_y, grad_CB, grad_vkq, skips },
    overrides: { ...overrides, CHUNK: chunk },
    params: { seqlen },
    workgroups: [nheads, seqlen, batch],
    label: `${label}.skip`,
  });
  ssdBCBwd(program, own, chunked);
  ssdSumsBwd(
    program,
    { xBC: vkq, grad_y, ssm_state: states, grad_states, sums, partials },
    chunked,
  );
  const parts = { parts: batch * chunks, size: nheads, label: `${label}.grad_D` };
  sumPartials(program, { partials, y: tensors.grad_D }, parts);
  const { plane, p_tiles, n_tiles } = layoutOfSums(chunked);
  program.add(mamba3DecaysBwdKernel, {
    tensors: { sums, decays, skips, grad_rates },
    overrides: {
      NHEADS: nheads,
      RANK: shape.mimo_rank,
      CHUNK: chunk,
      P_TILES: p_tiles,
      N_TILES: n_tiles,
    },
    params: { seqlen, plane },
    workgroups: [Math.ceil(nheads / LANES), chunks, batch],
    label: `${label}.decays`,
  });
  program.add(mamba3CarryBwdKernel, {
    tensors: {
      ...{ grad_state, k, v, grad_rates },
      mimo_x: tensors.mimo_x ?? placeholders(program.gpu).read,
    },
    overrides: { ...overrides, MIMO },
    params: { seqlen },
    workgroups: [nheads, batch, 1],
    label: `${label}.carry`,
  });
  if (tensors.grad_mimo_x === undefined) return;
  program.add(mamba3MimoXBwdKernel, {
    tensors: { rates, grad_state, k, v, grad_mimo_x: tensors.grad_mimo_x },
    overrides,
    params: { seqlen, batch },
    workgroups: [Math.ceil(shape.mimo_rank * nheads * shape.headdim / LANES), 1, 1],
    label: `${label}.mimo_x`,
  });
}
