/** channel_outer and channel_correlate: gradients of the weights that channel_matmul multiplies panels with. */

import type { Program } from "../../gpu/program.ts";
import type { Tensor } from "../../gpu/tensor.ts";
import correlateSource from "../../../kernels/channel_correlate.wgsl" with { type: "text" };
import outerSource from "../../../kernels/channel_outer.wgsl" with { type: "text" };
import type { ChannelProduct, Panel } from "../../model/s4_sizes.ts";
import { panelParams } from "../channel_matmul.ts";
import { defineKernel } from "../define_kernel.ts";
import { sumPartials } from "../sum_partials.ts";

/** The kernel of weights that are matrices. */
export const channelOuterKernel = defineKernel({
  name: "channel_outer",
  source: outerSource,
  preludes: ["_channels"],
  bindings: { p: "read", q: "read", y: "write" },
  params: {
    chunks: "u32",
    columns: "u32",
    parts: "u32",
    p_ld_batch: "u32",
    p_ld_chunk: "u32",
    p_offset: "u32",
    p_limit: "u32",
    q_ld_batch: "u32",
    q_ld_chunk: "u32",
    q_offset: "u32",
    q_limit: "u32",
  },
  overrides: ["D_MODEL", "OUTER", "INNER"],
  sizes: ({ D_MODEL, OUTER, INNER, chunks, columns, parts, p_ld_batch, q_ld_batch }) => ({
    p: columns / chunks * p_ld_batch * D_MODEL,
    q: columns / chunks * q_ld_batch * D_MODEL,
    y: parts * OUTER * INNER * D_MODEL,
  }),
});

/** The kernel of those that are convolutions. */
export const channelCorrelateKernel = defineKernel({
  name: "channel_correlate",
  source: correlateSource,
  preludes: ["_channels"],
  bindings: { p: "read", q: "read", y: "write" },
  params: {
    chunks: "u32",
    columns: "u32",
    parts: "u32",
    ld_batch: "u32",
    ld_chunk: "u32",
    offset: "u32",
    limit: "u32",
  },
  overrides: ["D_MODEL", "ROWS"],
  sizes: ({ D_MODEL, ROWS, chunks, columns, parts, ld_batch }) => ({
    p: columns / chunks * ld_batch * D_MODEL,
    q: columns / chunks * ld_batch * D_MODEL,
    y: parts * ROWS * D_MODEL,
  }),
});

/** Channels of a workgroup, and rows, columns and lags of a lane. */
const LANES = 64, ROWS = 8, COLUMNS = 4, LAGS = 8;

/** Columns of a part, and the most parts: some thousand workgroups for a model of usual size. */
const PART = 32, MAX_OUTER_PARTS = 8, MAX_CORRELATE_PARTS = 64;

function partCount(columns: number, most: number): number {
  return Math.max(1, Math.min(most, Math.ceil(columns / PART)));
}

/** Elements of the partial sums that channelOuter() needs. */
export function channelOuterScratch(
  { batch, chunks, outer, inner, d_model }: ChannelProduct,
): number {
  // One part has its place there, too, where it is added to what is there.
  return partCount(batch * chunks, MAX_OUTER_PARTS) * outer * inner * d_model;
}

/** The same of channelCorrelate(). */
export function channelCorrelateScratch(
  { batch, chunks, rows, d_model }: {
    readonly batch: number;
    readonly chunks: number;
    readonly rows: number;
    readonly d_model: number;
  },
): number {
  const parts = partCount(batch * chunks, MAX_CORRELATE_PARTS);
  return parts === 1 ? 0 : parts * rows * d_model;
}

/** y (outer, inner, d_model) becomes the sum over all columns of row i of p's times row k of q's. */
export function channelOuter(
  program: Program,
  { p, q, partials, y }: { p: Tensor; q: Tensor; partials: Tensor; y: Tensor },
  shape: ChannelProduct & {
    readonly p: Panel;
    readonly q: Panel;
    readonly accumulate?: boolean;
    readonly label: string;
  },
): void {
  const { batch, chunks, outer, inner, d_model, accumulate = false, label } = shape;
  const columns = batch * chunks;
  const size = outer * inner * d_model;
  const parts = partCount(columns, MAX_OUTER_PARTS);
  const isWhole = parts === 1 && !accumulate;
  program.add(channelOuterKernel, {
    tensors: { p, q, y: isWhole ? y : partials },
    overrides: { D_MODEL: d_model, OUTER: outer, INNER: inner },
    params: {
      ...{ chunks, columns, parts },
      ...panelParams("p", shape.p),
      ...panelParams("q", shape.q),
    },
    workgroups: [
      Math.ceil(d_model / LANES),
      Math.ceil(outer / ROWS) * Math.ceil(inner / COLUMNS),
      parts,
    ],
    label,
  });
  if (!isWhole) sumPartials(program, { partials, y }, { parts, size, accumulate, label });
}

/** y (rows, d_model) becomes the sum over all columns, and all t, of row t of p's times row t - l of q's, for each lag l. */
export function channelCorrelate(
  program: Program,
  { p, q, partials, y }: { p: Tensor; q: Tensor; partials: Tensor; y: Tensor },
  shape: {
    readonly batch: number;
    readonly chunks: number;
    readonly rows: number;
    readonly d_model: number;
    readonly panel: Panel;
    readonly label: string;
  },
): void {
  const { batch, chunks, rows, d_model, panel, label } = shape;
  const columns = batch * chunks;
  const parts = partCount(columns, MAX_CORRELATE_PARTS);
  const { ldBatch: ld_batch, ldChunk: ld_chunk, offset = 0, limit } = panel;
  program.add(channelCorrelateKernel, {
    tensors: { p, q, y: parts === 1 ? y : partials },
    overrides: { D_MODEL: d_model, ROWS: rows },
    params: { chunks, columns, parts, ld_batch, ld_chunk, offset, limit },
    workgroups: [Math.ceil(d_model / LANES), Math.ceil(rows / LAGS), parts],
    label,
  });
  if (parts > 1) sumPartials(program, { partials, y }, { parts, size: rows * d_model, label });
}
