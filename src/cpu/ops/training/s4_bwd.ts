/** Backward of what S4D and S4 make of their parameters. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import {
  type S4Chunk,
  type S4DParameter,
  type S4Parameter,
  type S4Sizes,
  systemSize,
  tablePlaces,
} from "../../../model/s4_sizes.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { addSystemOp } from "../s4.ts";

/** Channels of an item. */
const CHANNELS = 4;

/** grad_system, grad_C and grad_D, of the gradient of s4Series()' table, which is overwritten. */
export function s4SeriesBwd(
  program: CpuProgram,
  tensors: {
    system: CpuTensor;
    C: CpuTensor;
    table: CpuTensor;
    grad_table: CpuTensor;
    grad_system: CpuTensor;
    grad_C: CpuTensor;
    grad_D: CpuTensor;
  },
  { d_model, d_state, chunk, lowRank, label }: S4Chunk & { label: string },
): void {
  const { system, C, table, grad_table, grad_system, grad_C, grad_D } = tensors;
  const { E } = tablePlaces({ d_model, d_state, chunk, lowRank });
  const elements = systemSize({ d_model, d_state, lowRank });
  requireSize(label, "system", system, elements);
  requireSize(label, "C", C, d_state * d_model);
  requireSize(label, "table", table, E.start);
  requireSize(label, "grad_table", grad_table, E.start + (lowRank ? 0 : E.size));
  requireSize(label, "grad_system", grad_system, elements);
  requireSize(label, "grad_C", grad_C, d_state * d_model);
  requireSize(label, "grad_D", grad_D, d_model);
  program.add({
    kind: OpKind.s4_series_bwd,
    items: Math.ceil(d_model / CHANNELS),
    grain: 1,
    args: [
      ...[system.address, C.address, table.address, grad_table.address, grad_system.address],
      ...[grad_C.address, grad_D.address, d_model, d_state / 2, chunk, Number(lowRank)],
    ],
    label,
  });
}

/** Gradients of the parameters of s4dSystem(). */
export function s4dSystemBwd(
  program: CpuProgram,
  tensors: Readonly<Record<S4DParameter | `grad_${S4DParameter}` | "grad_system", CpuTensor>>,
  sizes: S4Sizes & { label: string },
): void {
  const { A_re, A_im, log_step, grad_system, grad_A_re, grad_A_im, grad_log_step } = tensors;
  const pairs = sizes.d_state / 2;
  addSystemOp(program, OpKind.s4d_system_bwd, [
    ["A_re", A_re, pairs],
    ["A_im", A_im, pairs],
    ["log_step", log_step, 1],
    ["grad_system", grad_system, systemSize({ ...sizes, d_model: 1, lowRank: false })],
    ["grad_A_re", grad_A_re, pairs],
    ["grad_A_im", grad_A_im, pairs],
    ["grad_log_step", grad_log_step, 1],
  ], { ...sizes, work: 16 });
}

/** Gradients of the parameters of s4System(), of that of its system. */
export function s4SystemBwd(
  program: CpuProgram,
  tensors: Readonly<
    Record<"system" | "Lambda_re" | `grad_${S4Parameter}` | "grad_system", CpuTensor>
  >,
  sizes: S4Sizes & { label: string },
): void {
  const { system, Lambda_re, grad_system, grad_Lambda_re, grad_Lambda_im, grad_P } = tensors;
  const { grad_B, grad_log_step } = tensors;
  const pairs = sizes.d_state / 2;
  const rows = systemSize({ ...sizes, d_model: 1, lowRank: true });
  addSystemOp(program, OpKind.s4_system_bwd, [
    ["system", system, rows],
    ["Lambda_re", Lambda_re, pairs],
    ["grad_system", grad_system, rows],
    ["grad_Lambda_re", grad_Lambda_re, pairs],
    ["grad_Lambda_im", grad_Lambda_im, pairs],
    ["grad_P", grad_P, sizes.d_state],
    ["grad_B", grad_B, sizes.d_state],
    ["grad_log_step", grad_log_step, 1],
  ], { ...sizes, work: 32 });
}

/** grad_Abar (d_state, d_state, d_model), of s4Power() of one step, is added to grad_system. */
export function s4PowerBwd(
  program: CpuProgram,
  { system, grad_Abar, grad_system }: {
    system: CpuTensor;
    grad_Abar: CpuTensor;
    grad_system: CpuTensor;
  },
  { d_model, d_state, label }: S4Sizes & { label: string },
): void {
  const elements = systemSize({ d_model, d_state, lowRank: true });
  requireSize(label, "system", system, elements);
  requireSize(label, "grad_Abar", grad_Abar, d_state ** 2 * d_model);
  requireSize(label, "grad_system", grad_system, elements);
  program.add({
    kind: OpKind.s4_power_bwd,
    items: d_state / 2 * Math.ceil(d_model / CHANNELS),
    grain: rowsGrain(8 * CHANNELS * d_state),
    args: [system.address, grad_Abar.address, grad_system.address, d_model, d_state / 2],
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
  program: CpuProgram,
  { states, grad_states, grad_E }: {
    states: CpuTensor;
    grad_states: CpuTensor;
    grad_E: CpuTensor;
  },
  shape: S4Sizes & {
    batch: number;
    slots: number;
    gradSlots: number;
    count: number;
    label: string;
  },
): void {
  const { d_model, d_state, batch, slots, gradSlots, count, label } = shape;
  requireSize(label, "states", states, batch * slots * d_state * d_model);
  requireSize(label, "grad_states", grad_states, batch * gradSlots * d_state * d_model);
  requireSize(label, "grad_E", grad_E, d_state * d_model);
  program.add({
    kind: OpKind.s4d_pass_bwd,
    items: d_state / 2 * Math.ceil(d_model / CHANNELS),
    grain: rowsGrain(4 * CHANNELS * batch * count),
    args: [
      ...[states.address, grad_states.address, grad_E.address, d_model, d_state / 2],
      ...[batch, slots, gradSlots, count],
    ],
    label,
  });
}
