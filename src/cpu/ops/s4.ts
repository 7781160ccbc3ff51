/** S4D and S4: one step, a chunk of them, and the recurrence step by step. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import {
  type S4Chunk,
  type S4DParameter,
  type S4Parameter,
  type S4Sizes,
  systemSize,
  tablePlaces,
} from "../../model/s4_sizes.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Channels of an item. */
const CHANNELS = 4;

/** system ([a, b], d_state / 2, 2, d_model) becomes what a step does: x = a x + b u, by zero-order hold. */
export function s4dSystem(
  program: CpuProgram,
  { A_re, A_im, log_step, system }: Readonly<Record<S4DParameter | "system", CpuTensor>>,
  sizes: S4Sizes & { label: string },
): void {
  const pairs = sizes.d_state / 2;
  addSystemOp(program, OpKind.s4d_system, [
    ["A_re", A_re, pairs],
    ["A_im", A_im, pairs],
    ["log_step", log_step, 1],
    ["system", system, systemSize({ ...sizes, d_model: 1, lowRank: false })],
  ], { ...sizes, work: 16 });
}

/** system ([a, b, p, q], d_state / 2, 2, d_model), and exp(log_step) behind it: x = a x - p (q x) + b u is S4's step. */
export function s4System(
  program: CpuProgram,
  { Lambda_re, Lambda_im, P, B, log_step, system }: Readonly<
    Record<S4Parameter | "system", CpuTensor>
  >,
  sizes: S4Sizes & { label: string },
): void {
  const pairs = sizes.d_state / 2;
  addSystemOp(program, OpKind.s4_system, [
    ["Lambda_re", Lambda_re, pairs],
    ["Lambda_im", Lambda_im, pairs],
    ["P", P, sizes.d_state],
    ["B", B, sizes.d_state],
    ["log_step", log_step, 1],
    ["system", system, systemSize({ ...sizes, d_model: 1, lowRank: true })],
  ], { ...sizes, work: 16 });
}

/**
 * Records an op of what a step is made of, or of its gradient: an item a channel.
 *
 * @param tensors In the order of the record: name, and rows of d_model elements.
 * @param sizes `work` is what a state of a channel takes.
 */
export function addSystemOp(
  program: CpuProgram,
  kind: OpKind,
  tensors: readonly (readonly [string, CpuTensor, number])[],
  { d_model, d_state, label, work }: S4Sizes & { label: string; work: number },
): void {
  for (const [name, tensor, rows] of tensors) requireSize(label, name, tensor, rows * d_model);
  program.add({
    kind,
    items: d_model,
    grain: rowsGrain(work * d_state),
    args: [...tensors.map(([, { address }]) => address), d_model, d_state / 2],
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
