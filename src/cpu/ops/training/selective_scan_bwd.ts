/** selective_scan_bwd: gradients of the Mamba-1 recurrence, and the sums that follow it. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../../model/shapes.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { CHANNELS, rowsGrain } from "../grain.ts";
import { requireSize } from "../require_size.ts";
import { keptStates, SCAN_CHUNK, type ScanSizes } from "../selective_scan.ts";
import { sumPartials } from "./sum_partials.ts";

/** Sizes of a scan's batch. */
export interface ScanShape {
  readonly batch: number;
  readonly seqlen: number;
  readonly d_inner: number;
  readonly d_state: number;
}

/** Elements of the scratch tensors that selectiveScanBwd() needs; all layers of a model can share them. */
export function scanBwdScratch(
  { batch, seqlen, d_inner, d_state }: ScanShape,
): { partials_BC: number; partials_params: number } {
  return {
    partials_BC: Math.ceil(d_inner / CHANNELS) * batch * seqlen * 2 * padded(d_state),
    partials_params: batch * d_inner * (d_state + 1),
  };
}

/**
 * Gradients of selectiveScanFwd(), which ran with `keep` and left ssm_state.
 *
 * In place: grad_y (batch, seqlen, d_inner), of the gated output, becomes grad_u; dt, before softplus, becomes
 * grad_dt; grad_state (batch, d_inner, d_state), of the final state, becomes that of the initial state.
 * Written: the z half of grad_xz (batch, seqlen, 2 d_inner), the B and C columns of grad_x_dbl (batch, seqlen, dt_rank +
 * 2 d_state), grad_A_log and grad_D.
 *
 * @param shape `gradFinal` false (default true): grad_state is taken to be zeros and only written. `accumulate`
 * (default false): grad_A_log and grad_D are added to.
 */
export function selectiveScanBwd(
  program: CpuProgram,
  tensors: {
    u: CpuTensor;
    dt: CpuTensor;
    x_dbl: CpuTensor;
    xz: CpuTensor;
    A_log: CpuTensor;
    D: CpuTensor;
    ssm_state: CpuTensor;
    grad_y: CpuTensor;
    grad_xz: CpuTensor;
    grad_x_dbl: CpuTensor;
    grad_A_log: CpuTensor;
    grad_D: CpuTensor;
    grad_state: CpuTensor;
    /** Scratch: see {@linkcode scanBwdScratch}. */
    partials_BC: CpuTensor;
    /** Scratch: see {@linkcode scanBwdScratch}. */
    partials_params: CpuTensor;
  },
  shape: ScanSizes & ScanShape & { gradFinal?: boolean; accumulate?: boolean; label: string },
): void {
  const { u, dt, x_dbl, xz, A_log, D, ssm_state, grad_y, grad_xz, grad_x_dbl } = tensors;
  const { grad_A_log, grad_D, grad_state, partials_BC, partials_params } = tensors;
  const { batch, seqlen, d_inner, d_state, dt_rank, label } = shape;
  const { gradFinal = true, accumulate = false } = shape;
  const rows = batch * seqlen;
  const width = dt_rank + 2 * d_state;
  const states = d_inner * d_state;
  const blocks = Math.ceil(d_inner / CHANNELS);
  const scratch = scanBwdScratch(shape);
  requireSize(label, "u", u, rows * d_inner);
  requireSize(label, "dt", dt, rows * d_inner);
  requireSize(label, "x_dbl", x_dbl, rows * width);
  requireSize(label, "xz", xz, rows * 2 * d_inner);
  requireSize(label, "A_log", A_log, states);
  requireSize(label, "D", D, d_inner);
  requireSize(label, "ssm_state", ssm_state, batch * keptStates(seqlen) * states);
  requireSize(label, "grad_y", grad_y, rows * d_inner);
  requireSize(label, "grad_xz", grad_xz, rows * 2 * d_inner);
  requireSize(label, "grad_state", grad_state, batch * states);
  requireSize(label, "partials_BC", partials_BC, scratch.partials_BC);
  requireSize(label, "partials_params", partials_params, scratch.partials_params);
  const ofA_log = partials_params.view(0, [batch * states]);
  const ofD = partials_params.view(4 * batch * states, [batch * d_inner]);
  const halfOfZ = d_inner * 4;
  program.add({
    kind: OpKind.selective_scan_bwd,
    items: batch * blocks,
    grain: 1,
    args: [
      ...[u.address, dt.address, x_dbl.address + dt_rank * 4, width],
      ...[xz.address + halfOfZ, 2 * d_inner, D.address, grad_y.address, grad_xz.address + halfOfZ],
      ...[seqlen, d_inner, d_state, SCAN_CHUNK, batch, A_log.address, ssm_state.address],
      ...[partials_BC.address, ofA_log.address, ofD.address, grad_state.address, Number(gradFinal)],
    ],
    scratchBytes: scratchBytes(d_state),
    label,
  });
  selectiveScanBwdSum(program, { partials: partials_BC, grad_x_dbl }, {
    ...{ rows, blocks, d_state, dt_rank, label: `${label}.grad_BC` },
  });
  sumPartials(program, { partials: ofA_log, y: grad_A_log }, {
    ...{ parts: batch, size: states, accumulate, label: `${label}.grad_A_log` },
  });
  sumPartials(program, { partials: ofD, y: grad_D }, {
    ...{ parts: batch, size: d_inner, accumulate, label: `${label}.grad_D` },
  });
}

/** The B and C columns of grad_x_dbl (rows, dt_rank + 2 d_state) from partials (blocks, rows, 2, padded(d_state)). */
export function selectiveScanBwdSum(
  program: CpuProgram,
  { partials, grad_x_dbl }: { partials: CpuTensor; grad_x_dbl: CpuTensor },
  shape: { rows: number; blocks: number; d_state: number; dt_rank: number; label: string },
): void {
  const { rows, blocks, d_state, dt_rank, label } = shape;
  const width = dt_rank + 2 * d_state;
  requireSize(label, "partials", partials, blocks * rows * 2 * padded(d_state));
  requireSize(label, "grad_x_dbl", grad_x_dbl, rows * width);
  program.add({
    kind: OpKind.selective_scan_bwd_sum,
    items: rows,
    grain: rowsGrain(2 * blocks * d_state),
    args: [
      ...[
        partials.address,
        grad_x_dbl.address + dt_rank * 4,
        width,
        rows,
        blocks,
        d_state,
        d_state,
      ],
    ],
    label,
  });
}

/** States in whole vectors. */
function padded(d_state: number): number {
  return roundUp(d_state, 4);
}

/** See kernels/cpu/assembly/selective_scan_chunk.ts. */
function scratchBytes(d_state: number): number {
  const state = padded(d_state) * CHANNELS * 4;
  const step = CHANNELS * 4;
  return (4 + 2 * SCAN_CHUNK) * state + state / 2 + (4 + 3 * SCAN_CHUNK) * step;
}
