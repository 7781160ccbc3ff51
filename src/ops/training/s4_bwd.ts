/** Backward of what S4D and S4 make of their parameters. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import powerSource from "../../../kernels/s4_power_bwd.wgsl" with { type: "text" };
import s4SystemSource from "../../../kernels/s4_system_bwd.wgsl" with { type: "text" };
import passSource from "../../../kernels/s4d_pass_bwd.wgsl" with { type: "text" };
import seriesSource from "../../../kernels/s4_series_bwd.wgsl" with { type: "text" };
import systemSource from "../../../kernels/s4d_system_bwd.wgsl" with { type: "text" };
import type { S4Chunk, S4Sizes } from "../../model/s4_sizes.ts";
import { defineKernel } from "../define_kernel.ts";

/** The kernel of a chunk. */
export const s4SeriesBwdKernel = defineKernel({
  name: "s4_series_bwd",
  source: seriesSource,
  preludes: ["_s4", "_s4_system", "_s4_series"],
  bindings: {
    system: "read",
    C: "read",
    table: "read",
    grad_table: "read_write",
    grad_system: "read_write",
    grad_C: "read_write",
    grad_D: "write",
  },
  params: {},
  overrides: ["D_MODEL", "PAIRS", "CHUNK", "LOW_RANK"],
  sizes: ({ D_MODEL, PAIRS, CHUNK, LOW_RANK }) => {
    const system = (2 + 2 * LOW_RANK) * 2 * PAIRS * D_MODEL;
    const table = CHUNK * (1 + 4 * PAIRS) * D_MODEL;
    return {
      system,
      C: 2 * PAIRS * D_MODEL,
      table,
      grad_table: table + (1 - LOW_RANK) * 2 * PAIRS * D_MODEL,
      grad_system: system,
      grad_C: 2 * PAIRS * D_MODEL,
      grad_D: D_MODEL,
    };
  },
});

/** The kernel of S4D's step. */
export const s4dSystemBwdKernel = defineKernel({
  name: "s4d_system_bwd",
  source: systemSource,
  preludes: ["_s4"],
  bindings: {
    A_re: "read",
    A_im: "read",
    log_step: "read",
    grad_system: "read",
    grad_A_re: "write",
    grad_A_im: "write",
    grad_log_step: "write",
  },
  params: {},
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    A_re: PAIRS * D_MODEL,
    A_im: PAIRS * D_MODEL,
    log_step: D_MODEL,
    grad_system: 4 * PAIRS * D_MODEL,
    grad_A_re: PAIRS * D_MODEL,
    grad_A_im: PAIRS * D_MODEL,
    grad_log_step: D_MODEL,
  }),
});

/** The kernel of S4's step. */
export const s4SystemBwdKernel = defineKernel({
  name: "s4_system_bwd",
  source: s4SystemSource,
  preludes: ["_s4", "_s4_system"],
  bindings: {
    system: "read",
    Lambda_re: "read",
    grad_system: "read",
    grad_Lambda_re: "write",
    grad_Lambda_im: "write",
    grad_P: "write",
    grad_B: "write",
    grad_log_step: "write",
  },
  params: {},
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    system: (8 * PAIRS + 1) * D_MODEL,
    Lambda_re: PAIRS * D_MODEL,
    grad_system: 8 * PAIRS * D_MODEL,
    grad_Lambda_re: PAIRS * D_MODEL,
    grad_Lambda_im: PAIRS * D_MODEL,
    grad_P: 2 * PAIRS * D_MODEL,
    grad_B: 2 * PAIRS * D_MODEL,
    grad_log_step: D_MODEL,
  }),
});

/** The kernel of the matrix of S4's step. */
export const s4PowerBwdKernel = defineKernel({
  name: "s4_power_bwd",
  source: powerSource,
  bindings: { system: "read", grad_Abar: "read", grad_system: "read_write" },
  params: {},
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    system: 8 * PAIRS * D_MODEL,
    grad_Abar: 4 * PAIRS * PAIRS * D_MODEL,
    grad_system: 8 * PAIRS * D_MODEL,
  }),
});

/** The kernel of the factor that S4D's states have from chunk to chunk. */
export const s4dPassBwdKernel = defineKernel({
  name: "s4d_pass_bwd",
  source: passSource,
  preludes: ["_s4"],
  bindings: { states: "read", grad_states: "read", grad_E: "write" },
  params: { batch: "u32", slots: "u32", grad_slots: "u32", count: "u32" },
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS, batch, slots, grad_slots }) => ({
    states: batch * slots * 2 * PAIRS * D_MODEL,
    grad_states: batch * grad_slots * 2 * PAIRS * D_MODEL,
    grad_E: 2 * PAIRS * D_MODEL,
  }),
});

/** Channels of a workgroup: where lanes are side by side alone, and where others share a channel. */
const LANES = 64, CHANNELS = 16;

/** grad_system, grad_C and grad_D, of the gradient of s4Series()' table, which is overwritten. */
export function s4SeriesBwd(
  program: Program,
  tensors: {
    system: Tensor;
    C: Tensor;
    table: Tensor;
    grad_table: Tensor;
    grad_system: Tensor;
    grad_C: Tensor;
    grad_D: Tensor;
  },
  { d_model, d_state, chunk, lowRank, label }: S4Chunk & { readonly label: string },
): void {
  program.add(s4SeriesBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2, CHUNK: chunk, LOW_RANK: lowRank },
    params: {},
    workgroups: [Math.ceil(d_model / CHANNELS), 1, 1],
    label,
  });
}

/** Gradients of the parameters of s4dSystem(). */
export function s4dSystemBwd(
  program: Program,
  tensors: {
    A_re: Tensor;
    A_im: Tensor;
    log_step: Tensor;
    grad_system: Tensor;
    grad_A_re: Tensor;
    grad_A_im: Tensor;
    grad_log_step: Tensor;
  },
  { d_model, d_state, label }: S4Sizes & { readonly label: string },
): void {
  program.add(s4dSystemBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: {},
    workgroups: [Math.ceil(d_model / LANES), 1, 1],
    label,
  });
}

/**
 * grad_E (d_state / 2, 2, d_model) of the factor of s4dPass().
 *
 * @param tensors states (batch, slots, d_state, d_model) and grad_states (batch, gradSlots, ...): the state before each of
 * `count` chunks, and the gradient of it.
 */
export function s4dPassBwd(
  program: Program,
  tensors: { states: Tensor; grad_states: Tensor; grad_E: Tensor },
  shape: S4Sizes & {
    readonly batch: number;
    readonly slots: number;
    readonly gradSlots: number;
    readonly count: number;
    readonly label: string;
  },
): void {
  const { d_model, d_state, batch, slots, gradSlots, count, label } = shape;
  program.add(s4dPassBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: { batch, slots, grad_slots: gradSlots, count },
    workgroups: [Math.ceil(d_model / LANES), d_state / 2, 1],
    label,
  });
}

/** Gradients of the parameters of s4System(), of that of its system. */
export function s4SystemBwd(
  program: Program,
  tensors: {
    system: Tensor;
    Lambda_re: Tensor;
    grad_system: Tensor;
    grad_Lambda_re: Tensor;
    grad_Lambda_im: Tensor;
    grad_P: Tensor;
    grad_B: Tensor;
    grad_log_step: Tensor;
  },
  { d_model, d_state, label }: S4Sizes & { readonly label: string },
): void {
  program.add(s4SystemBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: {},
    workgroups: [Math.ceil(d_model / LANES), 1, 1],
    label,
  });
}

/** grad_Abar (d_state, d_state, d_model), of s4Power() of one step, is added to grad_system. */
export function s4PowerBwd(
  program: Program,
  tensors: { system: Tensor; grad_Abar: Tensor; grad_system: Tensor },
  { d_model, d_state, label }: S4Sizes & { readonly label: string },
): void {
  program.add(s4PowerBwdKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: {},
    workgroups: [Math.ceil(d_model / LANES), d_state / 2, 1],
    label,
  });
}
