/** S4D and S4: one step, a chunk of them, and the recurrence step by step. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type S4Chunk, type S4Sizes, systemSize, tablePlaces } from "../../model/s4_sizes.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Channels of an item. */
const CHANNELS = 4;

/** system ([a, b], d_state / 2, 2, d_model) becomes what a step does: x = a x + b u, by zero-order hold. */
export function s4dSystem(
  program: CpuProgram,
  { A_re, A_im, log_step, system }: {
    A_re: CpuTensor;
    A_im: CpuTensor;
    log_step: CpuTensor;
    system: CpuTensor;
  },
  { d_model, d_state, label }: S4Sizes & { label: string },
): void {
  const pairs = d_state / 2;
  requireSize(label, "A_re", A_re, pairs * d_model);
  requireSize(label, "A_im", A_im, pairs * d_model);
  requireSize(label, "log_step", log_step, d_model);
  requireSize(label, "system", system, systemSize({ d_model, d_state, lowRank: false }));
  program.add({
    kind: OpKind.s4d_system,
    items: d_model,
    grain: rowsGrain(16 * d_state),
    args: [A_re.address, A_im.address, log_step.address, system.address, d_model, pairs],
    label,
  });
}

/** system ([a, b, p, q], d_state / 2, 2, d_model), and exp(log_step) behind it: x = a x - p (q x) + b u is S4's step. */
export function s4System(
  program: CpuProgram,
  { Lambda_re, Lambda_im, P, B, log_step, system }: {
    Lambda_re: CpuTensor;
    Lambda_im: CpuTensor;
    P: CpuTensor;
    B: CpuTensor;
    log_step: CpuTensor;
    system: CpuTensor;
  },
  { d_model, d_state, label }: S4Sizes & { label: string },
): void {
  const pairs = d_state / 2;
  requireSize(label, "Lambda_re", Lambda_re, pairs * d_model);
  requireSize(label, "Lambda_im", Lambda_im, pairs * d_model);
  requireSize(label, "P", P, d_state * d_model);
  requireSize(label, "B", B, d_state * d_model);
  requireSize(label, "log_step", log_step, d_model);
  requireSize(label, "system", system, systemSize({ d_model, d_state, lowRank: true }));
  program.add({
    kind: OpKind.s4_system,
    items: d_model,
    grain: rowsGrain(16 * d_state),
    args: [
      ...[Lambda_re.address, Lambda_im.address, P.address, B.address, log_step.address],
      ...[system.address, d_model, pairs],
    ],
    label,
  });
}

/** table becomes K, O, R and, without a low rank, E of a chunk: see tablePlaces() for where. */
export function s4Series(
  program: CpuProgram,
  { system, C, D, table }: { system: CpuTensor; C: CpuTensor; D: CpuTensor; table: CpuTensor },
  { d_model, d_state, chunk, lowRank, label }: S4Chunk & { label: string },
): void {
  const { E } = tablePlaces({ d_model, d_state, chunk, lowRank });
  requireSize(label, "system", system, systemSize({ d_model, d_state, lowRank }));
  requireSize(label, "C", C, d_state * d_model);
  requireSize(label, "D", D, d_model);
  requireSize(label, "table", table, E.start + (lowRank ? 0 : E.size));
  program.add({
    kind: OpKind.s4_series,
    items: Math.ceil(d_model / CHANNELS),
    grain: 1,
    args: [
      ...[system.address, C.address, D.address, table.address, d_model, d_state / 2, chunk],
      Number(lowRank),
    ],
    label,
  });
}

/** E (d_state, d_state, d_model) becomes what `steps` steps of s4System() without input make of a state. */
export function s4Power(
  program: CpuProgram,
  { system, E }: { system: CpuTensor; E: CpuTensor },
  { d_model, d_state, steps, label }: S4Sizes & { steps: number; label: string },
): void {
  requireSize(label, "system", system, systemSize({ d_model, d_state, lowRank: true }));
  requireSize(label, "E", E, d_state ** 2 * d_model);
  program.add({
    kind: OpKind.s4_power,
    items: Math.ceil(d_model / CHANNELS) * d_state,
    grain: Math.min(d_state, rowsGrain(8 * d_state * steps)),
    args: [system.address, E.address, d_model, d_state / 2, steps],
    scratchBytes: 5 * d_state * CHANNELS * 4,
    label,
  });
}

/**
 * states (batch, slots, d_state, d_model): what chunks leave in slots 1 .. count - 1 becomes the state after them, from that of
 * slot 0 on. In reverse, what outputs have of gradients in slots 0 .. count - 1 becomes the gradient of the state before each.
 */
export function s4dPass(
  program: CpuProgram,
  { E, states }: { E: CpuTensor; states: CpuTensor },
  shape: S4Sizes & {
    batch: number;
    slots: number;
    count: number;
    reverse: boolean;
    label: string;
  },
): void {
  const { d_model, d_state, batch, slots, count, reverse, label } = shape;
  requireSize(label, "E", E, d_state * d_model);
  requireSize(label, "states", states, batch * slots * d_state * d_model);
  program.add({
    kind: OpKind.s4d_pass,
    items: batch * d_state / 2 * Math.ceil(d_model / CHANNELS),
    grain: rowsGrain(2 * CHANNELS * count),
    args: [E.address, states.address, d_model, d_state / 2, slots, count, Number(reverse)],
    label,
  });
}

/**
 * y (batch, seqlen, d_model) becomes the recurrence's output for the steps of u from `first` on.
 *
 * @param tensors states (batch, slots, d_state, d_model): with one slot it moves on; with more, slot c is the state before
 * chunk c, the last one that after all, and the steps' first is a chunk's.
 */
export function s4Scan(
  program: CpuProgram,
  { system, C, D, u, states, y }: {
    system: CpuTensor;
    C: CpuTensor;
    D: CpuTensor;
    u: CpuTensor;
    states: CpuTensor;
    y: CpuTensor;
  },
  shape: S4Chunk & {
    batch: number;
    seqlen: number;
    first: number;
    slots: number;
    label: string;
  },
): void {
  const { d_model, d_state, chunk, lowRank, batch, seqlen, first, slots, label } = shape;
  requireSize(label, "system", system, systemSize({ d_model, d_state, lowRank }));
  requireSize(label, "C", C, d_state * d_model);
  requireSize(label, "D", D, d_model);
  requireSize(label, "u", u, batch * seqlen * d_model);
  requireSize(label, "states", states, batch * slots * d_state * d_model);
  requireSize(label, "y", y, batch * seqlen * d_model);
  program.add({
    kind: OpKind.s4_scan,
    items: batch * Math.ceil(d_model / CHANNELS),
    grain: rowsGrain(8 * d_state * (seqlen - first)),
    args: [
      ...[system.address, C.address, D.address, u.address, states.address, y.address, d_model],
      ...[d_state / 2, Number(lowRank), seqlen, first, chunk, slots],
    ],
    scratchBytes: (lowRank ? 6 : 4) * d_state * CHANNELS * 4,
    label,
  });
}
