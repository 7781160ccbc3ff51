/** Gradients of Mamba-3: of its gate, of the recurrence, and of what comes before that. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { GATE_ROWS, gatePartials } from "../../../model/mamba3_partials.ts";
import { type Mamba3Options, type Mamba3Sizes, mamba3Widths } from "../../../model/mamba3_sizes.ts";
import { roundUp } from "../../../model/shapes.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { MAMBA3_CHUNK } from "../mamba3.ts";
import { requireSize } from "../require_size.ts";
import { columnSum } from "./linear_bwd.ts";
import { sumPartials } from "./sum_partials.ts";

/** A batch. */
interface BatchSizes extends Mamba3Sizes {
  readonly batch: number;
  readonly seqlen: number;
}

/**
 * Gradients of mamba3GateFwd(): that of y in its place, the columns of z in grad_zxBCdt, and those of weights that are there.
 *
 * @param tensors grad_out (batch, seqlen, d_inner). partials is scratch: see {@linkcode gatePartials}.
 */
export function mamba3GateBwd(
  program: CpuProgram,
  tensors: {
    y: CpuTensor;
    zxBCdt: CpuTensor;
    mimo_z?: CpuTensor | undefined;
    mimo_o?: CpuTensor | undefined;
    weight?: CpuTensor | undefined;
    grad_out: CpuTensor;
    grad_zxBCdt: CpuTensor;
    partials: CpuTensor;
    grad_mimo_z?: CpuTensor | undefined;
    grad_mimo_o?: CpuTensor | undefined;
    grad_weight?: CpuTensor | undefined;
  },
  shape: BatchSizes & { eps: number; label: string },
): void {
  const { y, zxBCdt, mimo_z, mimo_o, weight, grad_out, grad_zxBCdt, partials } = tensors;
  const { batch, seqlen, nheads, headdim, mimo_rank, eps, label } = shape;
  const { d_in_proj, d_inner } = mamba3Widths(shape);
  const { parts, o_start, weight_start, end } = gatePartials(shape);
  const rows = batch * seqlen;
  requireSize(label, "y", y, rows * mimo_rank * d_inner);
  requireSize(label, "zxBCdt", zxBCdt, rows * d_in_proj);
  requireSize(label, "grad_out", grad_out, rows * d_inner);
  requireSize(label, "grad_zxBCdt", grad_zxBCdt, rows * d_in_proj);
  for (const [name, tensor] of Object.entries({ mimo_z, mimo_o })) {
    if (tensor !== undefined) requireSize(label, name, tensor, mimo_rank * d_inner);
  }
  if (weight !== undefined) requireSize(label, "weight", weight, d_inner);
  if ((weight ?? mimo_z) !== undefined) requireSize(label, "partials", partials, end);
  program.add({
    kind: OpKind.mamba3_gate_bwd,
    items: parts,
    grain: 1,
    args: [
      ...[y.address, zxBCdt.address, d_in_proj, mimo_z?.address ?? 0, mimo_o?.address ?? 0],
      ...[weight?.address ?? 0, grad_out.address, grad_zxBCdt.address, partials.address],
      ...[partials.address + 4 * o_start, partials.address + 4 * weight_start],
      ...[seqlen, nheads, headdim, mimo_rank, floatBits(eps), GATE_ROWS],
    ],
    label,
  });
  const sum = (name: string, start: number, size: number, gradient: CpuTensor | undefined) => {
    if (gradient === undefined) return;
    const own = partials.view(4 * start, [parts, size]);
    sumPartials(program, { partials: own, y: gradient }, {
      ...{ parts, size, label: `${label}.${name}` },
    });
  };
  sum("grad_mimo_z", 0, mimo_rank * d_inner, tensors.grad_mimo_z);
  sum("grad_mimo_o", o_start, mimo_rank * d_inner, tensors.grad_mimo_o);
  sum("grad_weight", weight_start, d_inner, tensors.grad_weight);
}

/** Elements of the scratch tensors that mamba3ScanBwd() needs; all layers of a model can share them. */
export function mamba3ScanBwdScratch({ batch, nheads }: BatchSizes) {
  return { grad_CB: 0, grad_states: 0, sums: 0, skips: 0, partials: batch * nheads };
}

/**
 * Gradients of mamba3Scan(), which ran with `keep`; nothing comes from the final state.
 *
 * Written: grad_vkq (batch, seqlen, mimo_rank, [v, k, q]), grad_rates (batch, nheads, seqlen, 4), the first of each 0,
 * grad_D, and in grad_mimo_x what mimo_x has by the step before the first.
 *
 * @param tensors k and v are those of the step before the first. grad_y (batch, seqlen, mimo_rank, d_inner). grad_state
 * (batch, nheads, headdim, d_state) and partials are scratch: see {@linkcode mamba3ScanBwdScratch}.
 */
export function mamba3ScanBwd(
  program: CpuProgram,
  tensors: {
    vkq: CpuTensor;
    rates: CpuTensor;
    mimo_x?: CpuTensor | undefined;
    D: CpuTensor;
    k: CpuTensor;
    v: CpuTensor;
    states: CpuTensor;
    grad_y: CpuTensor;
    grad_vkq: CpuTensor;
    grad_rates: CpuTensor;
    grad_D: CpuTensor;
    grad_mimo_x?: CpuTensor | undefined;
    grad_state: CpuTensor;
    partials: CpuTensor;
  },
  shape: BatchSizes & { label: string },
): void {
  const { vkq, rates, mimo_x, D, k, v, states, grad_y, grad_vkq, grad_rates } = tensors;
  const { grad_state, partials, grad_D } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, mimo_rank, label } = shape;
  const { d_inner, d_vkq } = mamba3Widths(shape);
  const rows = batch * seqlen;
  const slots = Math.ceil(seqlen / MAMBA3_CHUNK) + 1;
  requireSize(label, "vkq", vkq, rows * mimo_rank * d_vkq);
  requireSize(label, "rates", rates, rows * nheads * 4);
  requireSize(label, "states", states, batch * slots * d_inner * d_state);
  requireSize(label, "grad_y", grad_y, rows * mimo_rank * d_inner);
  requireSize(label, "grad_vkq", grad_vkq, rows * mimo_rank * d_vkq);
  requireSize(label, "grad_rates", grad_rates, rows * nheads * 4);
  requireSize(label, "grad_state", grad_state, batch * d_inner * d_state);
  requireSize(label, "partials", partials, batch * nheads);
  program.add({
    kind: OpKind.mamba3_scan_bwd,
    items: batch * nheads,
    grain: 1,
    args: [
      ...[vkq.address, rates.address, mimo_x?.address ?? 0, D.address, grad_state.address],
      ...[k.address, v.address, grad_y.address, states.address],
      ...[seqlen, nheads, headdim, d_state, mimo_rank, MAMBA3_CHUNK],
      ...[grad_vkq.address, grad_rates.address, partials.address],
    ],
    scratchBytes: (2 * seqlen * (2 + mimo_rank ** 2) + (MAMBA3_CHUNK + 1) * roundUp(d_state, 4)) *
      4,
    label,
  });
  const parts = { parts: batch, size: nheads, label: `${label}.grad_D` };
  sumPartials(program, { partials, y: grad_D }, parts);
  const { grad_mimo_x } = tensors;
  if (grad_mimo_x === undefined) return;
  requireSize(label, "grad_mimo_x", grad_mimo_x, mimo_rank * d_inner);
  program.add({
    kind: OpKind.mamba3_mimo_x_bwd,
    items: nheads,
    grain: rowsGrain(batch * mimo_rank * headdim * d_state),
    args: [
      ...[rates.address, grad_state.address, k.address, v.address, grad_mimo_x.address],
      ...[batch, seqlen, nheads, headdim, d_state, mimo_rank],
    ],
    label: `${label}.mimo_x`,
  });
}

/**
 * Gradients of mamba3Inputs(), from those that mamba3ScanBwd() gives: all columns of grad_zxBCdt but z's, and those of the
 * weights; grad_mimo_x is added to.
 *
 * @param tensors grad_vkq is overwritten. grad_thetas (batch, seqlen, nheads, num_rope_angles), norm_rows (batch, seqlen,
 * d_state), dt_rows (batch, seqlen, nheads) and vkq_sums (mimo_rank, [v, k, q]) are scratch.
 */
export function mamba3InputsBwd(
  program: CpuProgram,
  tensors: {
    zxBCdt: CpuTensor;
    dt_bias: CpuTensor;
    B_norm: CpuTensor;
    C_norm: CpuTensor;
    mimo_x?: CpuTensor | undefined;
    rates: CpuTensor;
    thetas: CpuTensor;
    vkq: CpuTensor;
    grad_vkq: CpuTensor;
    grad_rates: CpuTensor;
    grad_zxBCdt: CpuTensor;
    grad_dt_bias: CpuTensor;
    grad_B_norm: CpuTensor;
    grad_C_norm: CpuTensor;
    grad_B_bias: CpuTensor;
    grad_C_bias: CpuTensor;
    grad_mimo_x?: CpuTensor | undefined;
    grad_thetas: CpuTensor;
    norm_rows: CpuTensor;
    dt_rows: CpuTensor;
    vkq_sums: CpuTensor;
  },
  shape: BatchSizes & Mamba3Options & { eps: number; label: string },
): void {
  const { zxBCdt, dt_bias, mimo_x, rates, thetas, vkq, grad_vkq, grad_rates } = tensors;
  const { grad_zxBCdt, grad_thetas, norm_rows, dt_rows, vkq_sums } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, ngroups, mimo_rank, label } = shape;
  const { num_rope_angles, is_mimo, A_activation, A_floor, eps } = shape;
  const { x, B, C, dd_dt, d_in_proj, d_inner, d_vkq } = mamba3Widths(shape);
  const rows = batch * seqlen;
  requireSize(label, "zxBCdt", zxBCdt, rows * d_in_proj);
  requireSize(label, "vkq", vkq, rows * mimo_rank * d_vkq);
  requireSize(label, "grad_vkq", grad_vkq, rows * mimo_rank * d_vkq);
  requireSize(label, "grad_zxBCdt", grad_zxBCdt, rows * d_in_proj);
  requireSize(label, "grad_thetas", grad_thetas, rows * nheads * num_rope_angles);
  requireSize(label, "norm_rows", norm_rows, rows * d_state);
  requireSize(label, "dt_rows", dt_rows, rows * nheads);
  requireSize(label, "vkq_sums", vkq_sums, mimo_rank * d_vkq);
  program.add({
    kind: OpKind.mamba3_vkq_bwd,
    items: batch * nheads,
    grain: 1,
    args: [
      ...[zxBCdt.address + 4 * x, d_in_proj, mimo_x?.address ?? 0, thetas.address, vkq.address],
      ...[grad_vkq.address, grad_thetas.address, grad_zxBCdt.address + 4 * x],
      ...[seqlen, nheads, headdim, d_state, mimo_rank, num_rope_angles, Number(is_mimo)],
    ],
    label: `${label}.vkq`,
  });
  const columns = (name: string, from: CpuTensor, y: CpuTensor, width: number) =>
    columnSum(program, { x: from, y }, {
      ...{ rows, columns: width, label: `${label}.${name}` },
    });
  for (const name of ["B", "C"] as const) {
    const isB = name === "B";
    const column = isB ? B : C;
    const place = d_inner + (isB ? 0 : nheads * d_state);
    program.add({
      kind: OpKind.mamba3_norm_bwd,
      items: rows,
      grain: rowsGrain(mimo_rank * nheads * d_state),
      args: [
        ...[zxBCdt.address + 4 * column, d_in_proj],
        ...[isB ? tensors.B_norm.address : tensors.C_norm.address],
        ...[grad_vkq.address + 4 * place, d_vkq, grad_zxBCdt.address + 4 * column],
        ...[norm_rows.address, nheads, d_state, ngroups, mimo_rank, floatBits(eps)],
      ],
      scratchBytes: 4 * d_state,
      label: `${label}.${name}_norm`,
    });
    const gradient = isB ? tensors.grad_B_norm : tensors.grad_C_norm;
    columns(`grad_${name}_norm`, norm_rows, gradient, d_state);
  }
  columns("grad_vkq", grad_vkq, vkq_sums, mimo_rank * d_vkq);
  program.add({
    kind: OpKind.mamba3_bias_bwd,
    items: nheads,
    grain: rowsGrain(mimo_rank * (headdim + 2 * d_state)),
    args: [
      ...[vkq_sums.address, tensors.grad_B_bias.address, tensors.grad_C_bias.address],
      ...[tensors.grad_mimo_x?.address ?? 0, nheads, headdim, d_state, mimo_rank],
    ],
    label: `${label}.bias`,
  });
  program.add({
    kind: OpKind.mamba3_rates_bwd,
    items: rows,
    grain: rowsGrain(nheads * (num_rope_angles + 8) * 4),
    args: [
      ...[zxBCdt.address + 4 * dd_dt, d_in_proj, dt_bias.address, rates.address],
      ...[grad_rates.address, grad_thetas.address, grad_zxBCdt.address + 4 * dd_dt],
      ...[dt_rows.address, seqlen, nheads, num_rope_angles],
      ...[Number(A_activation === "heavy_tail"), floatBits(A_floor)],
    ],
    label: `${label}.rates`,
  });
  columns("grad_dt_bias", dt_rows, tensors.grad_dt_bias, nheads);
}
