/** Mamba-3: what comes before the recurrence, the recurrence, and its gate. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../../model/mamba3_sizes.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** A batch. */
interface BatchSizes extends Mamba3Sizes {
  readonly batch: number;
  readonly seqlen: number;
}

/** Steps from one state to the next that training keeps. */
export const MAMBA3_CHUNK = 16;

/** Channels of an item of the recurrence. */
const CHANNELS = 4;

/**
 * rates (batch, nheads, seqlen, 4), thetas (batch, seqlen, nheads, num_rope_angles) and vkq (batch, seqlen, mimo_rank,
 * [v, k, q]); theta (batch, nheads, num_rope_angles) moves on, and stays in [-pi, pi].
 *
 * @param tensors zxBCdt (batch, seqlen, d_in_proj) is in_proj's output; mimo_x is there for MIMO.
 */
export function mamba3Inputs(
  program: CpuProgram,
  tensors: {
    zxBCdt: CpuTensor;
    dt_bias: CpuTensor;
    B_norm: CpuTensor;
    C_norm: CpuTensor;
    B_bias: CpuTensor;
    C_bias: CpuTensor;
    mimo_x?: CpuTensor | undefined;
    theta: CpuTensor;
    rates: CpuTensor;
    thetas: CpuTensor;
    vkq: CpuTensor;
  },
  shape: BatchSizes & Mamba3Options & { eps: number; label: string },
): void {
  const { zxBCdt, dt_bias, B_norm, C_norm, B_bias, C_bias, mimo_x, theta } = tensors;
  const { rates, thetas, vkq } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, ngroups, mimo_rank, label } = shape;
  const { num_rope_angles, is_mimo, A_activation, A_floor, eps } = shape;
  const { x, B, C, dd_dt, d_in_proj, d_inner, d_vkq } = mamba3Widths(shape);
  const rows = batch * seqlen;
  requireSize(label, "zxBCdt", zxBCdt, rows * d_in_proj);
  requireSize(label, "dt_bias", dt_bias, nheads);
  requireSize(label, "B_norm", B_norm, d_state);
  requireSize(label, "C_norm", C_norm, d_state);
  requireSize(label, "B_bias", B_bias, nheads * mimo_rank * d_state);
  requireSize(label, "C_bias", C_bias, nheads * mimo_rank * d_state);
  if (mimo_x !== undefined) requireSize(label, "mimo_x", mimo_x, mimo_rank * d_inner);
  requireSize(label, "theta", theta, batch * nheads * num_rope_angles);
  requireSize(label, "rates", rates, rows * nheads * 4);
  requireSize(label, "thetas", thetas, rows * nheads * num_rope_angles);
  requireSize(label, "vkq", vkq, rows * mimo_rank * d_vkq);
  program.add({
    kind: OpKind.mamba3_inputs,
    items: batch * nheads,
    grain: rowsGrain(seqlen * mimo_rank * 16 * d_state),
    args: [
      ...[zxBCdt.address, d_in_proj, x, B, C, dd_dt, dt_bias.address],
      ...[B_norm.address, C_norm.address, B_bias.address, C_bias.address, mimo_x?.address ?? 0],
      ...[theta.address, rates.address, thetas.address, vkq.address],
      ...[seqlen, nheads, headdim, d_state, ngroups, mimo_rank, num_rope_angles, Number(is_mimo)],
      ...[Number(A_activation === "heavy_tail"), floatBits(A_floor), floatBits(eps)],
    ],
    label,
  });
}

/** What the recurrence reads and writes. */
export interface Mamba3ScanTensors {
  readonly vkq: CpuTensor;
  readonly rates: CpuTensor;
  readonly zxBCdt: CpuTensor;
  readonly mimo_x?: CpuTensor | undefined;
  readonly D: CpuTensor;
  readonly ssm_state: CpuTensor;
  readonly k: CpuTensor;
  readonly v: CpuTensor;
  readonly y: CpuTensor;
  readonly states: CpuTensor;
}

/** Elements of states for any `batch` sequences that have `rows` steps together: without the backward, none. */
export function mamba3ScanScratch(
  { nheads, headdim, d_state }: Mamba3Sizes,
  { rows, batch, keepsStates = false }: { rows: number; batch: number; keepsStates?: boolean },
): { decays: number; CB: number; states: number } {
  const slots = keepsStates ? Math.ceil(rows / MAMBA3_CHUNK) + 2 * batch : 0;
  return { decays: 0, CB: 0, states: slots * nheads * headdim * d_state };
}

/**
 * y (batch, seqlen, mimo_rank, d_inner), before the gate; ssm_state (batch, nheads, headdim, d_state), k (batch, mimo_rank,
 * nheads, d_state) and v (batch, nheads, headdim) move on.
 *
 * @param tensors vkq and rates are mamba3Inputs()'s, zxBCdt in_proj's output; mimo_x is there for MIMO.
 * @param shape `keep` (default false), for the backward: states becomes those before each chunk and the last.
 */
export function mamba3Scan(
  program: CpuProgram,
  tensors: Mamba3ScanTensors,
  shape: BatchSizes & { keep?: boolean; label: string },
): void {
  const { vkq, rates, zxBCdt, mimo_x, D, ssm_state, k, v, y, states } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank, keep = false, label } = shape;
  const { x, d_in_proj, d_inner, d_vkq } = mamba3Widths(shape);
  const rows = batch * seqlen;
  const size = d_inner * d_state;
  const slots = Math.ceil(seqlen / MAMBA3_CHUNK) + 1;
  requireSize(label, "vkq", vkq, rows * mimo_rank * d_vkq);
  requireSize(label, "rates", rates, rows * nheads * 4);
  requireSize(label, "zxBCdt", zxBCdt, rows * d_in_proj);
  if (mimo_x !== undefined) requireSize(label, "mimo_x", mimo_x, mimo_rank * d_inner);
  requireSize(label, "D", D, nheads);
  requireSize(label, "ssm_state", ssm_state, batch * size);
  requireSize(label, "k", k, batch * mimo_rank * nheads * d_state);
  requireSize(label, "v", v, batch * d_inner);
  requireSize(label, "y", y, rows * mimo_rank * d_inner);
  if (keep) requireSize(label, "states", states, batch * slots * size);
  const quads = Math.ceil(headdim / CHANNELS);
  program.add({
    kind: OpKind.mamba3_scan,
    items: batch * nheads * quads,
    // In a sequence a head's steps are prepared once for all that a thread has of it.
    grain: seqlen > 1 ? quads : rowsGrain(CHANNELS * d_state * mimo_rank),
    args: [
      ...[vkq.address, rates.address, mimo_x?.address ?? 0, D.address, ssm_state.address],
      ...[k.address, v.address, y.address, keep ? states.address : 0],
      ...[seqlen, nheads, headdim, d_state, mimo_rank, MAMBA3_CHUNK],
    ],
    scratchBytes: (seqlen * (2 + mimo_rank ** 2) + 4 + d_state + 4) * 4,
    label,
  });
  program.add({
    kind: OpKind.mamba3_carry,
    items: batch,
    grain: rowsGrain(d_vkq),
    args: [
      ...[vkq.address, zxBCdt.address + x * 4, d_in_proj, k.address, v.address],
      ...[seqlen, d_inner, nheads * d_state, mimo_rank],
    ],
    label: `${label}.carry`,
  });
}

/**
 * out (batch, seqlen, d_inner) from y (batch, seqlen, mimo_rank, d_inner) and the gate z, which zxBCdt begins with.
 *
 * @param tensors mimo_z and mimo_o are there for MIMO; without a weight there is no norm.
 */
export function mamba3GateFwd(
  program: CpuProgram,
  tensors: {
    y: CpuTensor;
    zxBCdt: CpuTensor;
    mimo_z?: CpuTensor | undefined;
    mimo_o?: CpuTensor | undefined;
    weight?: CpuTensor | undefined;
    out: CpuTensor;
  },
  shape: BatchSizes & { eps: number; label: string },
): void {
  const { y, zxBCdt, mimo_z, mimo_o, weight, out } = tensors;
  const { batch, seqlen, nheads, headdim, mimo_rank, eps, label } = shape;
  const { d_in_proj, d_inner } = mamba3Widths(shape);
  const rows = batch * seqlen;
  requireSize(label, "y", y, rows * mimo_rank * d_inner);
  requireSize(label, "zxBCdt", zxBCdt, rows * d_in_proj);
  for (const [name, tensor] of Object.entries({ mimo_z, mimo_o })) {
    if (tensor !== undefined) requireSize(label, name, tensor, mimo_rank * d_inner);
  }
  if (weight !== undefined) requireSize(label, "weight", weight, d_inner);
  requireSize(label, "out", out, rows * d_inner);
  program.add({
    kind: OpKind.mamba3_gate_fwd,
    items: rows * nheads,
    grain: rowsGrain(4 * mimo_rank * headdim),
    args: [
      ...[y.address, zxBCdt.address, d_in_proj, mimo_z?.address ?? 0, mimo_o?.address ?? 0],
      ...[weight?.address ?? 0, out.address, nheads, headdim, mimo_rank, floatBits(eps)],
    ],
    label,
  });
}
