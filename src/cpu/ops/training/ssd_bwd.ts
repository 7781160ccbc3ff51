/** ssd_bwd: gradients of the Mamba-2 recurrence, and the sums that follow it. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../../model/shapes.ts";
import { type CpuProgram, floatBits } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { type SsdOptions, type SsdSizes, ssdWidths } from "../../../model/ssd_sizes.ts";
import { ssdSlots } from "../ssd.ts";
import { sumPartials } from "./sum_partials.ts";

/** Sizes of a recurrence's batch, and steps from one kept state to the next. */
export interface SsdBwdShape extends SsdSizes, SsdOptions {
  readonly batch: number;
  readonly seqlen: number;
  readonly chunk: number;
}

/** Elements of the scratch tensors that ssdBwd() needs; all layers of a model can share them. */
export function ssdBwdScratch(shape: SsdBwdShape): { sums: number; partials: number } {
  const { batch, seqlen, nheads, d_state } = shape;
  return {
    sums: nheads * batch * seqlen * 2 * roundUp(d_state, 4),
    partials: batch * (2 * nheads + sizeOfD(shape)),
  };
}

function sizeOfD({ nheads, headdim, D_has_hdim = false }: SsdBwdShape): number {
  return D_has_hdim ? nheads * headdim : nheads;
}

/**
 * Gradients of ssdFwd(), which ran with `chunk` and left ssm_state.
 *
 * Written: grad_xBC (batch, seqlen, conv_dim), the dt columns of grad_zxbcdt (batch, seqlen, d_in_proj), grad_A_log, grad_D
 * and grad_dt_bias. In place: grad_state (batch, nheads, headdim, d_state), of the final state, becomes that of the
 * initial state.
 *
 * @param tensors grad_y (batch, seqlen, d_inner) is that of y, before gate and norm. sums and partials are scratch, see
 * {@linkcode ssdBwdScratch}.
 * @param shape `gradFinal` false (default true): grad_state is taken to be zeros and only written. `accumulate`
 * (default false): grad_A_log, grad_D and grad_dt_bias are added to.
 */
export function ssdBwd(
  program: CpuProgram,
  tensors: {
    xBC: CpuTensor;
    zxbcdt: CpuTensor;
    A_log: CpuTensor;
    D: CpuTensor;
    dt_bias: CpuTensor;
    ssm_state: CpuTensor;
    grad_y: CpuTensor;
    grad_xBC: CpuTensor;
    grad_zxbcdt: CpuTensor;
    grad_A_log: CpuTensor;
    grad_D: CpuTensor;
    grad_dt_bias: CpuTensor;
    grad_state: CpuTensor;
    sums: CpuTensor;
    partials: CpuTensor;
  },
  shape: SsdBwdShape & { gradFinal?: boolean; accumulate?: boolean; label: string },
): void {
  const { xBC, zxbcdt, A_log, D, dt_bias, ssm_state, grad_y, grad_xBC, grad_zxbcdt } = tensors;
  const { grad_A_log, grad_D, grad_dt_bias, grad_state, sums, partials } = tensors;
  const { batch, seqlen, nheads, headdim, d_state, ngroups, chunk, label } = shape;
  const { D_has_hdim = false, gradFinal = true, accumulate = false } = shape;
  const [dt_min, dt_max] = shape.dt_limit ?? [0, Infinity];
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(shape);
  const rows = batch * seqlen;
  const D_size = sizeOfD(shape);
  const scratch = ssdBwdScratch(shape);
  requireSize(label, "xBC", xBC, rows * conv_dim);
  requireSize(label, "zxbcdt", zxbcdt, rows * d_in_proj);
  requireSize(label, "A_log", A_log, nheads);
  requireSize(label, "D", D, D_size);
  requireSize(label, "dt_bias", dt_bias, nheads);
  requireSize(label, "ssm_state", ssm_state, batch * ssdSlots(seqlen, chunk) * d_inner * d_state);
  requireSize(label, "grad_y", grad_y, rows * d_inner);
  requireSize(label, "grad_xBC", grad_xBC, rows * conv_dim);
  requireSize(label, "grad_zxbcdt", grad_zxbcdt, rows * d_in_proj);
  requireSize(label, "grad_state", grad_state, batch * d_inner * d_state);
  requireSize(label, "sums", sums, scratch.sums);
  requireSize(label, "partials", partials, scratch.partials);
  const dtColumn = (d_in_proj - nheads) * 4;
  program.add({
    kind: OpKind.ssd_bwd,
    items: batch * nheads,
    grain: 1,
    args: [
      ...[xBC.address, conv_dim, batch, zxbcdt.address + dtColumn, d_in_proj],
      ...[A_log.address, D.address, dt_bias.address, ssm_state.address, grad_y.address],
      ...[seqlen, nheads, headdim, d_state, ngroups],
      ...[floatBits(dt_min), floatBits(dt_max), Number(D_has_hdim), chunk],
      ...[grad_xBC.address, sums.address, grad_zxbcdt.address + dtColumn, partials.address],
      ...[grad_state.address, Number(gradFinal)],
    ],
    scratchBytes: (4 * roundUp(seqlen, 4) + 12 + (4 * chunk + 5) * roundUp(d_state, 4)) * 4,
    label,
  });
  const headsOfGroup = nheads / ngroups;
  for (let group = 0; group < ngroups; group++) {
    const first = group * headsOfGroup * rows * 2 * roundUp(d_state, 4);
    program.add({
      kind: OpKind.selective_scan_bwd_sum,
      items: rows,
      grain: rowsGrain(2 * headsOfGroup * d_state),
      args: [
        ...[sums.address + first * 4, grad_xBC.address + (d_inner + group * d_state) * 4, conv_dim],
        ...[rows, headsOfGroup, d_state, ngroups * d_state],
      ],
      label: `${label}.grad_BC`,
    });
  }
  const sum = (name: string, first: number, size: number, y: CpuTensor) =>
    sumPartials(program, { partials: partials.view(4 * first, [batch, size]), y }, {
      ...{ parts: batch, size, accumulate, label: `${label}.${name}` },
    });
  sum("grad_A_log", 0, nheads, grad_A_log);
  sum("grad_dt_bias", batch * nheads, nheads, grad_dt_bias);
  sum("grad_D", 2 * batch * nheads, D_size, grad_D);
}
