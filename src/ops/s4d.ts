/** S4D: its recurrence of one step, and states from chunk to chunk. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import passSource from "../../kernels/s4d_pass.wgsl" with { type: "text" };
import systemSource from "../../kernels/s4d_system.wgsl" with { type: "text" };
import type { S4Sizes } from "../model/s4_sizes.ts";
import { defineKernel } from "./define_kernel.ts";

/** The kernel of one step. */
export const s4dSystemKernel = defineKernel({
  name: "s4d_system",
  source: systemSource,
  preludes: ["_s4"],
  bindings: { A_re: "read", A_im: "read", log_step: "read", system: "write" },
  params: {},
  overrides: ["D_MODEL", "PAIRS"],
  sizes: ({ D_MODEL, PAIRS }) => ({
    A_re: PAIRS * D_MODEL,
    A_im: PAIRS * D_MODEL,
    log_step: D_MODEL,
    system: 4 * PAIRS * D_MODEL,
  }),
});

/** The kernel of states from chunk to chunk. */
export const s4dPassKernel = defineKernel({
  name: "s4d_pass",
  source: passSource,
  preludes: ["_s4"],
  bindings: { E: "read", states: "read_write" },
  params: { slots: "u32", count: "u32" },
  overrides: ["D_MODEL", "PAIRS", "REVERSE"],
  sizes: ({ D_MODEL, PAIRS, slots }, [, , batch]) => ({
    E: 2 * PAIRS * D_MODEL,
    states: batch * slots * 2 * PAIRS * D_MODEL,
  }),
});

/** Channels of a workgroup. */
const LANES = 64;

/** system ([a, b], d_state / 2, 2, d_model) becomes what a step does: x = a x + b u, by zero-order hold. */
export function s4dSystem(
  program: Program,
  tensors: { A_re: Tensor; A_im: Tensor; log_step: Tensor; system: Tensor },
  { d_model, d_state, label }: S4Sizes & { readonly label: string },
): void {
  program.add(s4dSystemKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2 },
    params: {},
    workgroups: [Math.ceil(d_model / LANES), d_state / 2, 1],
    label,
  });
}

/**
 * states (batch, slots, d_state, d_model): what chunks leave in slots 1 .. count - 1 becomes the state after them, from that of
 * slot 0 on. In reverse, what outputs have of gradients in slots 0 .. count - 1 becomes the gradient of the state before each.
 */
export function s4dPass(
  program: Program,
  tensors: { E: Tensor; states: Tensor },
  shape: S4Sizes & {
    readonly batch: number;
    readonly slots: number;
    readonly count: number;
    readonly reverse: boolean;
    readonly label: string;
  },
): void {
  const { d_model, d_state, batch, slots, count, reverse, label } = shape;
  program.add(s4dPassKernel, {
    tensors,
    overrides: { D_MODEL: d_model, PAIRS: d_state / 2, REVERSE: reverse },
    params: { slots, count },
    workgroups: [Math.ceil(d_model / LANES), d_state / 2, batch],
    label,
  });
}
