/** The recurrence of Mamba-3 over a sequence, by the kernels of Mamba-2's chunks, and what is around them. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import carrySource from "../../kernels/mamba3_carry.wgsl" with { type: "text" };
import decaysSource from "../../kernels/mamba3_decays.wgsl" with { type: "text" };
import skipSource from "../../kernels/mamba3_skip.wgsl" with { type: "text" };
import { mamba3Chunk, type Mamba3Sizes, mamba3Widths } from "../model/mamba3_sizes.ts";
import { defineKernel } from "./define_kernel.ts";
import { mamba3Overrides } from "./mamba3_inputs.ts";
import { takesMamba3Step } from "./mamba3_step.ts";
import { placeholders } from "./placeholders.ts";
import { ssdChunksFwd } from "./ssd.ts";
import { stateCopy } from "./state_copy.ts";

/** Lanes of a workgroup of mamba3_decays and mamba3_skip. */
const LANES = 64;

/** The scale and the decay of every step, as Mamba-2's kernels read them. */
export const mamba3DecaysKernel = defineKernel({
  name: "mamba3_decays",
  source: decaysSource,
  bindings: { rates: "read", decays: "write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "RANK", "CHUNK"],
  sizes: ({ NHEADS, RANK, seqlen }, [, , batch]) => ({
    rates: batch * NHEADS * seqlen * 4,
    decays: batch * NHEADS * seqlen * RANK * 4,
  }),
});

/** What is carried into the sequence, and out of it. */
export const mamba3CarryKernel = defineKernel({
  name: "mamba3_carry",
  source: carrySource,
  bindings: {
    rates: "read",
    vkq: "read",
    zxBCdt: "read",
    mimo_x: "read",
    ssm_state: "read_write",
    k: "read_write",
    v: "read_write",
  },
  params: { seqlen: "u32", slots: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "MIMO", "D_IN_PROJ"],
  sizes: (values, [, batch]) => {
    const { NHEADS, HEADDIM, D_STATE, RANK, MIMO, D_IN_PROJ, seqlen, slots } = values;
    return {
      rates: batch * NHEADS * seqlen * 4,
      vkq: batch * seqlen * RANK * NHEADS * (HEADDIM + 2 * D_STATE),
      zxBCdt: batch * seqlen * D_IN_PROJ,
      mimo_x: MIMO * NHEADS * RANK * HEADDIM,
      ssm_state: batch * slots * NHEADS * HEADDIM * D_STATE,
      k: batch * RANK * NHEADS * D_STATE,
      v: batch * NHEADS * HEADDIM,
    };
  },
});

/** What the output lacks after Mamba-2's kernels. */
export const mamba3SkipKernel = defineKernel({
  name: "mamba3_skip",
  source: skipSource,
  preludes: ["_mamba3_skip"],
  bindings: { rates: "read", vkq: "read", CB: "read", y: "read_write" },
  params: { seqlen: "u32" },
  overrides: ["NHEADS", "HEADDIM", "D_STATE", "RANK", "CHUNK"],
  sizes: ({ NHEADS, HEADDIM, D_STATE, RANK, CHUNK }, [, seqlen, batch]) => ({
    rates: batch * NHEADS * seqlen * 4,
    vkq: batch * seqlen * RANK * NHEADS * (HEADDIM + 2 * D_STATE),
    CB: batch * Math.ceil(seqlen * RANK / CHUNK) * NHEADS * CHUNK * CHUNK,
    y: batch * seqlen * RANK * NHEADS * HEADDIM,
  }),
});

/** Elements of what mamba3Scan() works in, enough for any `batch` sequences that have `rows` steps together. */
export function mamba3ScanScratch(
  sizes: Mamba3Sizes,
  { rows, batch, keepsStates = false }: { rows: number; batch: number; keepsStates?: boolean },
): { decays: number; CB: number; states: number } {
  const { nheads, headdim, d_state, mimo_rank } = sizes;
  if (batch === 0) {
    // Single steps, each of a sequence of its own: by ops of their own, or as chunks of one step.
    const own = takesMamba3Step(sizes) ? 0 : rows * nheads;
    return {
      decays: own * mimo_rank * 4,
      CB: own * mimo_rank ** 2,
      states: own * headdim * d_state,
    };
  }
  const chunk = mamba3Chunk(sizes);
  // Each sequence's last chunk may be a short one; with all of them kept there is a state more.
  const chunks = Math.ceil(rows * mimo_rank / chunk) + batch;
  return {
    decays: rows * mimo_rank * nheads * 4,
    CB: chunks * nheads * chunk * chunk,
    states: (chunks + (keepsStates ? batch : 0)) * nheads * headdim * d_state,
  };
}

/** A batch as Mamba-2's kernels have it: each step counted for each rank, and every head with B and C of its own. */
export function asSsdShape(
  sizes: Mamba3Sizes & { batch: number; seqlen: number; label: string },
) {
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank, label } = sizes;
  return {
    ...{ batch, nheads, headdim, d_state, label },
    seqlen: seqlen * mimo_rank,
    ngroups: nheads,
    chunk: seqlen === 1 ? mimo_rank : mamba3Chunk(sizes),
  };
}

/**
 * y (batch, seqlen, mimo_rank, d_inner), before the gate; ssm_state (batch, nheads, headdim, d_state), k (batch, mimo_rank,
 * nheads, d_state) and v (batch, nheads, headdim) move on.
 *
 * @param tensors vkq and rates are mamba3Inputs()'s, zxBCdt in_proj's output; mimo_x is there for MIMO. states, decays and
 * CB are scratch, see {@linkcode mamba3ScanScratch}.
 * @param shape `keep` (default false), for the backward: states becomes those before each chunk and the last, in the form
 * of mamba3_decays.
 */
export function mamba3Scan(
  program: Program,
  tensors: {
    vkq: Tensor;
    rates: Tensor;
    zxBCdt: Tensor;
    mimo_x?: Tensor | undefined;
    D: Tensor;
    ssm_state: Tensor;
    k: Tensor;
    v: Tensor;
    y: Tensor;
    states: Tensor;
    decays: Tensor;
    CB: Tensor;
  },
  shape: Mamba3Sizes & { batch: number; seqlen: number; keep?: boolean; label: string },
): void {
  const { vkq, rates, zxBCdt, D, ssm_state, k, v, y, states, decays, CB } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank, keep = false, label } = shape;
  const chunked = asSsdShape(shape);
  const slots = keep ? Math.ceil(chunked.seqlen / chunked.chunk) + 1 : 1;
  const size = nheads * headdim * d_state;
  const only = { tensor: ssm_state, slots: 1, slot: 0 };
  if (keep) {
    const to = { tensor: states, slots, slot: 0 };
    stateCopy(program, { from: only, to }, { batch, size, label: `${label}.take_state` });
  }
  mamba3Decays(program, { rates, decays }, shape);
  program.add(mamba3CarryKernel, {
    tensors: {
      ...{ rates, vkq, zxBCdt, k, v },
      mimo_x: tensors.mimo_x ?? placeholders(program.gpu).read,
      ssm_state: keep ? states : ssm_state,
    },
    overrides: mamba3Overrides(shape),
    params: { seqlen, slots },
    workgroups: [nheads, batch, 1],
    label: `${label}.carry`,
  });
  ssdChunksFwd(program, { xBC: vkq, D, ssm_state, y, decays, CB, states }, { ...chunked, keep });
  const { D_IN_PROJ: _, MIMO: __, ...overrides } = mamba3Overrides(shape);
  program.add(mamba3SkipKernel, {
    tensors: { rates, vkq, CB, y },
    overrides: { ...overrides, CHUNK: chunked.chunk },
    params: { seqlen },
    workgroups: [Math.ceil(mimo_rank * mamba3Widths(shape).d_inner / LANES), seqlen, batch],
    label: `${label}.skip`,
  });
  if (keep) {
    const from = { tensor: states, slots, slot: slots - 1 };
    stateCopy(program, { from, to: only }, { batch, size, label: `${label}.leave_state` });
  }
}

/** decays (batch, nheads, seqlen mimo_rank, 4): see the kernel. */
export function mamba3Decays(
  program: Program,
  tensors: { rates: Tensor; decays: Tensor },
  shape: Mamba3Sizes & { batch: number; seqlen: number; label: string },
): void {
  const { batch, seqlen, nheads, mimo_rank, label } = shape;
  const { chunk } = asSsdShape(shape);
  program.add(mamba3DecaysKernel, {
    tensors,
    overrides: { NHEADS: nheads, RANK: mimo_rank, CHUNK: chunk },
    params: { seqlen },
    workgroups: [Math.ceil(nheads / LANES), Math.ceil(seqlen * mimo_rank / chunk), batch],
    label: `${label}.decays`,
  });
}
