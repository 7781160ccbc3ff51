/** ssd_fwd: the Mamba-2 recurrence over a sequence, and for a single step. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import { roundUp } from "../../model/shapes.ts";
import { type SsdOptions, type SsdSizes, ssdWidths } from "../../model/ssd_sizes.ts";
import { type CpuProgram, floatBits } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

/** What the recurrence reads and writes. */
export interface SsdTensors {
  readonly xBC: CpuTensor;
  readonly zxbcdt: CpuTensor;
  readonly A_log: CpuTensor;
  readonly D: CpuTensor;
  readonly dt_bias: CpuTensor;
  readonly ssm_state: CpuTensor;
  readonly y: CpuTensor;
}

/** Steps from one state to the next that training keeps: what lies between stays in a second cache. */
export const SSD_CHUNK = 16;

/** States of a sequence that training keeps: that before each chunk, and the final one; without chunks only that. */
export function ssdSlots(seqlen: number, chunk: number): number {
  return chunk > 0 ? Math.ceil(seqlen / chunk) + 1 : 1;
}

/**
 * y (batch, seqlen, d_inner), before gate and norm; ssm_state (batch, nheads, headdim, d_state) moves on.
 *
 * @param tensors xBC (batch, seqlen, conv_dim) is conv1d's output; zxbcdt (batch, seqlen, d_in_proj) in_proj's, of which
 * dt is read.
 * @param shape With a `chunk` above 0 (the default), as training needs it, ssm_state is (batch, chunks + 1, nheads,
 * headdim, d_state) with chunks = ceil(seqlen / chunk): slot 0 is the initial state and stays, slot c + 1 becomes the state
 * after chunk c, the last slot the final state.
 */
export function ssdFwd(
  program: CpuProgram,
  tensors: SsdTensors,
  shape: SsdSizes & SsdOptions & {
    batch: number;
    seqlen: number;
    chunk?: number;
    label: string;
  },
): void {
  addRecurrence(program, tensors, shape);
}

/**
 * y (batch, d_inner) for one step; ssm_state (batch, nheads, headdim, d_state) moves on.
 *
 * @param tensors As of {@linkcode ssdFwd}; z in zxbcdt is read too where the op is gated. xBC and zxbcdt may be one
 * tensor.
 * @param shape `gated` (default false): y is multiplied by silu(z). Row b of xBC starts at element `xBCOffset + b *
 * ldXBC` (default: rows lie back to back).
 */
export function ssdStep(
  program: CpuProgram,
  tensors: SsdTensors,
  shape: SsdSizes & SsdOptions & {
    batch: number;
    gated?: boolean;
    ldXBC?: number;
    xBCOffset?: number;
    label: string;
  },
): void {
  addRecurrence(program, tensors, { ...shape, seqlen: 1 });
}

/** Channels of an item. */
const CHANNELS = 4;

function addRecurrence(
  program: CpuProgram,
  { xBC, zxbcdt, A_log, D, dt_bias, ssm_state, y }: SsdTensors,
  shape: SsdSizes & SsdOptions & {
    batch: number;
    seqlen: number;
    chunk?: number;
    gated?: boolean;
    ldXBC?: number;
    xBCOffset?: number;
    label: string;
  },
): void {
  const { batch, seqlen, nheads, headdim, d_state, ngroups, label } = shape;
  const { d_inner, conv_dim, d_in_proj } = ssdWidths(shape);
  const { chunk = 0, D_has_hdim = false, gated = false, ldXBC = conv_dim, xBCOffset = 0 } = shape;
  const [dt_min, dt_max] = shape.dt_limit ?? [0, Infinity];
  const rows = batch * seqlen;
  requireSize(label, "xBC", xBC, xBCOffset + (rows - 1) * ldXBC + conv_dim);
  requireSize(label, "zxbcdt", zxbcdt, rows * d_in_proj);
  requireSize(label, "A_log", A_log, nheads);
  requireSize(label, "D", D, D_has_hdim ? d_inner : nheads);
  requireSize(label, "dt_bias", dt_bias, nheads);
  requireSize(label, "ssm_state", ssm_state, batch * ssdSlots(seqlen, chunk) * d_inner * d_state);
  requireSize(label, "y", y, rows * d_inner);
  const quads = Math.ceil(headdim / CHANNELS);
  program.add({
    kind: OpKind.ssd_fwd,
    items: batch * nheads * quads,
    // In a sequence a head's steps are prepared once for all that a thread has of it.
    grain: seqlen > 1 ? quads : rowsGrain(CHANNELS * d_state),
    args: [
      ...[xBC.address + xBCOffset * 4, ldXBC, gated ? zxbcdt.address : 0],
      ...[zxbcdt.address + (d_in_proj - nheads) * 4, d_in_proj],
      ...[A_log.address, D.address, dt_bias.address, ssm_state.address, y.address],
      ...[seqlen, nheads, headdim, d_state, ngroups],
      ...[floatBits(dt_min), floatBits(dt_max), Number(D_has_hdim), chunk],
    ],
    scratchBytes: 2 * roundUp(seqlen, 4) * 4 + 16 + d_state * 4,
    label,
  });
}
