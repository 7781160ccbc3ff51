/** selective_scan_fwd and selective_scan_step: the Mamba-1 recurrence over a sequence, and for a single step. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { WeightDType } from "../../../kernels/cpu/weight_dtype.ts";
import { type CpuMatrix, requirePanels } from "../machine/matrix.ts";
import { elementCount, roundUp } from "../../model/shapes.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { CHANNELS, rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** Sizes of a Mamba-1 mixer. */
export interface ScanSizes {
  readonly d_inner: number;
  readonly d_state: number;
  readonly dt_rank: number;
}

/** About how many elementary operations a state takes, of which an exponential is most. */
const STATE_COST = 8;

/** Steps from one state to the next that training keeps: what lies between stays in a second cache. */
export const SCAN_CHUNK = 16;

/** States of a sequence that training keeps: that before each chunk, and the final one. */
export function keptStates(seqlen: number): number {
  return Math.ceil(seqlen / SCAN_CHUNK) + 1;
}

/** What a step has of each channel of a block, and its states and rates, in whole vectors. */
function scratchBytes(d_state: number): number {
  return (3 + 2 * roundUp(d_state, 4)) * CHANNELS * 4;
}

/** Shape of the rates of a layer's A. */
export function scanRatesShape(
  { d_inner, d_state }: Omit<ScanSizes, "dt_rank">,
): readonly [number, number, number] {
  return [Math.ceil(d_inner / CHANNELS), roundUp(d_state, 4), CHANNELS];
}

/**
 * Makes `rates` of A_log (d_inner, d_state), once for all scans that read it: they need an exponential a state and step
 * less.
 */
export function scanRates(
  program: CpuProgram,
  { A_log, rates }: { A_log: CpuTensor; rates: CpuTensor },
  shape: { d_inner: number; d_state: number; label: string },
): void {
  const { d_inner, d_state, label } = shape;
  requireSize(label, "A_log", A_log, d_inner * d_state);
  requireRates(label, rates, shape);
  program.add({
    kind: OpKind.scan_rates,
    items: Math.ceil(d_inner / CHANNELS),
    grain: rowsGrain(CHANNELS * d_state * STATE_COST),
    args: [A_log.address, rates.address, d_inner, d_state],
    label,
  });
}

function requireRates(
  label: string,
  rates: CpuTensor | undefined,
  sizes: { d_inner: number; d_state: number },
): void {
  if (rates !== undefined) requireSize(label, "rates", rates, elementCount(scanRatesShape(sizes)));
}

/**
 * y (batch, seqlen, d_inner) from u and the pre-softplus dt of that shape, B and C in x_dbl (batch, seqlen, dt_rank +
 * 2 d_state), z in the second half of xz; ssm_state (batch, d_inner, d_state) moves on.
 *
 * @param tensors With `rates`, made of A_log by {@linkcode scanRates}, A_log itself is not read.
 * @param shape With `keep` (default false), as training needs it, ssm_state is (batch, chunks + 1, d_inner, d_state) with
 * chunks = ceil(seqlen / SCAN_CHUNK): slot 0 is the initial state and stays, slot c + 1 becomes the state after chunk c,
 * the last slot the final state.
 */
export function selectiveScanFwd(
  program: CpuProgram,
  tensors: {
    u: CpuTensor;
    dt: CpuTensor;
    x_dbl: CpuTensor;
    xz: CpuTensor;
    A_log: CpuTensor;
    rates?: CpuTensor | undefined;
    D: CpuTensor;
    ssm_state: CpuTensor;
    y: CpuTensor;
  },
  shape: ScanSizes & { batch: number; seqlen: number; keep?: boolean; label: string },
): void {
  const { u, dt, x_dbl, xz, A_log, rates, D, ssm_state, y } = tensors;
  const { batch, seqlen, d_inner, d_state, dt_rank, keep = false, label } = shape;
  const slots = keep ? keptStates(seqlen) : 1;
  const width = dt_rank + 2 * d_state;
  const rows = batch * seqlen;
  requireSize(label, "u", u, rows * d_inner);
  requireSize(label, "dt", dt, rows * d_inner);
  requireSize(label, "x_dbl", x_dbl, rows * width);
  requireSize(label, "xz", xz, rows * 2 * d_inner);
  requireSize(label, "A_log", A_log, d_inner * d_state);
  requireRates(label, rates, shape);
  requireSize(label, "D", D, d_inner);
  requireSize(label, "ssm_state", ssm_state, batch * slots * d_inner * d_state);
  requireSize(label, "y", y, rows * d_inner);
  program.add({
    kind: OpKind.selective_scan_fwd,
    items: batch * Math.ceil(d_inner / CHANNELS),
    grain: rowsGrain(CHANNELS * seqlen * d_state * STATE_COST),
    args: [
      ...[u.address, dt.address, x_dbl.address + dt_rank * 4, width],
      ...[xz.address + d_inner * 4, 2 * d_inner, A_log.address, D.address, ssm_state.address],
      ...[y.address, seqlen, d_inner, d_state, rates?.address ?? 0, keep ? SCAN_CHUNK : 0],
    ],
    scratchBytes: scratchBytes(d_state),
    label,
  });
}

/**
 * y (batch, d_inner) for one step: dt_proj of x_dbl's first columns, then the recurrence. xz holds u, then z.
 *
 * @param tensors `rates` as of {@linkcode selectiveScanFwd}.
 */
export function selectiveScanStep(
  program: CpuProgram,
  tensors: {
    xz: CpuTensor;
    x_dbl: CpuTensor;
    dt_weight: CpuMatrix;
    dt_bias: CpuTensor;
    A_log: CpuTensor;
    rates?: CpuTensor | undefined;
    D: CpuTensor;
    ssm_state: CpuTensor;
    y: CpuTensor;
  },
  shape: ScanSizes & { batch: number; label: string },
): void {
  const { xz, x_dbl, dt_weight, dt_bias, A_log, rates, D, ssm_state, y } = tensors;
  const { batch, d_inner, d_state, dt_rank, label } = shape;
  const { dtype, rows, columns } = dt_weight;
  if (dtype === "int8" || dtype === "int4") {
    throw new TypeError(`Cannot run ${label}: dt_proj is ${dtype}, expected f32, f16 or bf16`);
  }
  requirePanels(label, dt_weight);
  if (rows !== d_inner || columns !== dt_rank) {
    throw new RangeError(
      `Cannot record ${label}: dt_proj is [${rows}, ${columns}], expected [${d_inner}, ${dt_rank}]`,
    );
  }
  requireSize(label, "xz", xz, batch * 2 * d_inner);
  requireSize(label, "x_dbl", x_dbl, batch * (dt_rank + 2 * d_state));
  requireSize(label, "dt_bias", dt_bias, d_inner);
  requireSize(label, "A_log", A_log, d_inner * d_state);
  requireRates(label, rates, shape);
  requireSize(label, "D", D, d_inner);
  requireSize(label, "ssm_state", ssm_state, batch * d_inner * d_state);
  requireSize(label, "y", y, batch * d_inner);
  program.add({
    kind: OpKind.selective_scan_step,
    items: batch * Math.ceil(d_inner / CHANNELS),
    grain: rowsGrain(CHANNELS * (2 * d_state * STATE_COST + dt_rank)),
    args: [
      ...[xz.address, x_dbl.address, dt_weight.address, WeightDType[dtype], dt_bias.address],
      ...[A_log.address, D.address, ssm_state.address, y.address, d_inner, d_state, dt_rank],
      rates?.address ?? 0,
    ],
    scratchBytes: preparedRowBytes(dt_rank) + scratchBytes(d_state),
    label,
  });
}

/** Bytes of a row prepared for panels of floats: see kernels/cpu/assembly/matvec_prepare.ts. */
function preparedRowBytes(columns: number): number {
  return 16 + roundUp(columns, 8) * 4;
}
