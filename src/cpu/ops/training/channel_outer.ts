/** channel_outer and channel_correlate: gradients of the weights that channel_matmul multiplies panels with. */

import { OpKind } from "../../../../kernels/cpu/op_kind.ts";
import type { ChannelProduct, Panel } from "../../../model/s4_sizes.ts";
import type { CpuProgram } from "../../machine/program.ts";
import type { CpuTensor } from "../../machine/tensor.ts";
import { panelArgs, TILE } from "../channel_matmul.ts";
import { requireSize } from "../require_size.ts";

/** Channels of an item, and columns that channel_outer takes at a time. */
const CHANNELS = 4, COLUMNS = 16;

/** y (outer, inner, d_model) becomes the sum over all columns of row i of p's times row k of q's. */
export function channelOuter(
  program: CpuProgram,
  { p, q, y }: { p: CpuTensor; q: CpuTensor; y: CpuTensor },
  shape: ChannelProduct & { p: Panel; q: Panel; accumulate?: boolean; label: string },
): void {
  const { batch, chunks, outer, inner, d_model, accumulate = false, label } = shape;
  requireSize(label, "p", p, batch * shape.p.ldBatch * d_model);
  requireSize(label, "q", q, batch * shape.q.ldBatch * d_model);
  requireSize(label, "y", y, outer * inner * d_model);
  program.add({
    kind: OpKind.channel_outer,
    items: Math.ceil(d_model / CHANNELS),
    grain: 1,
    args: [
      ...[p.address, q.address, y.address, d_model, outer, inner, Number(accumulate), chunks],
      ...[batch * chunks, ...panelArgs(shape.p), ...panelArgs(shape.q)],
    ],
    scratchBytes: (outer * inner + COLUMNS * (outer + inner) + TILE) * CHANNELS * 4,
    label,
  });
}

/** y (rows, d_model) becomes the sum over all columns, and all t, of row t of p's times row t - l of q's, for each lag l. */
export function channelCorrelate(
  program: CpuProgram,
  { p, q, y }: { p: CpuTensor; q: CpuTensor; y: CpuTensor },
  shape: {
    batch: number;
    chunks: number;
    rows: number;
    d_model: number;
    panel: Panel;
    label: string;
  },
): void {
  const { batch, chunks, rows, d_model, panel, label } = shape;
  requireSize(label, "p", p, batch * panel.ldBatch * d_model);
  requireSize(label, "q", q, batch * panel.ldBatch * d_model);
  requireSize(label, "y", y, rows * d_model);
  program.add({
    kind: OpKind.channel_correlate,
    items: Math.ceil(d_model / CHANNELS),
    grain: 1,
    args: [
      ...[p.address, q.address, y.address, d_model, rows, chunks, batch * chunks],
      ...panelArgs(panel),
    ],
    scratchBytes: 3 * rows * CHANNELS * 4,
    label,
  });
}
