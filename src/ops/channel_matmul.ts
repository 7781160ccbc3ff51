/** channel_matmul: each channel's own matrix times the columns of a panel. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import source from "../../kernels/channel_matmul.wgsl" with { type: "text" };
import type { ChannelForm, ChannelProduct, Panel } from "../model/s4_sizes.ts";
import { defineKernel } from "./define_kernel.ts";
import { placeholders } from "./placeholders.ts";

/** The kernel. */
export const channelMatmulKernel = defineKernel({
  name: "channel_matmul",
  source,
  preludes: ["_channels"],
  bindings: { x: "read", weight: "read", y: "read_write" },
  params: {
    chunks: "u32",
    columns: "u32",
    x_ld_batch: "u32",
    x_ld_chunk: "u32",
    x_offset: "u32",
    x_limit: "u32",
    y_ld_batch: "u32",
    y_ld_chunk: "u32",
    y_offset: "u32",
    y_limit: "u32",
  },
  overrides: ["D_MODEL", "OUTER", "INNER", "FORM", "ACCUMULATE", "IN_PLACE"],
  sizes: ({ D_MODEL, OUTER, INNER, FORM, IN_PLACE, chunks, columns, x_ld_batch, y_ld_batch }) => ({
    x: (1 - IN_PLACE) * columns / chunks * x_ld_batch * D_MODEL,
    weight: (FORM < 2 ? OUTER : 1) * INNER * D_MODEL,
    y: columns / chunks * y_ld_batch * D_MODEL,
  }),
});

/** Channels, rows and columns of a workgroup. */
const LANES = 64, ROWS = 8, COLUMNS = 4;

const FORMS: readonly ChannelForm[] = ["plain", "transposed", "convolution", "correlation"];

/** A panel in words of its kernels' params. */
export function panelParams<Name extends string>(
  name: Name,
  { ldBatch, ldChunk, offset = 0, limit }: Panel,
): Record<`${Name}_${"ld_batch" | "ld_chunk" | "offset" | "limit"}`, number> {
  return {
    [`${name}_ld_batch`]: ldBatch,
    [`${name}_ld_chunk`]: ldChunk,
    [`${name}_offset`]: offset,
    [`${name}_limit`]: limit,
  } as Record<`${Name}_${"ld_batch" | "ld_chunk" | "offset" | "limit"}`, number>;
}

/**
 * Row i of column c of y, of each channel, becomes the sum over k of W[i, k] and row k of that column of x.
 *
 * @param tensors `weight` is W (outer, inner, d_model), by `form` transposed (inner, outer, d_model), or (inner, d_model): in
 * "convolution" W[i, k] is its row i - k, in "correlation" row k - i, and zero elsewhere. x and y may be one tensor where
 * no row is in both panels.
 * @param shape What a panel of x does not have are zeros; rows that one of y does not have are left alone.
 */
export function channelMatmul(
  program: Program,
  tensors: { x: Tensor; weight: Tensor; y: Tensor },
  shape: ChannelProduct & {
    readonly form: ChannelForm;
    readonly x: Panel;
    readonly y: Panel;
    readonly accumulate?: boolean;
    readonly label: string;
  },
): void {
  const { batch, chunks, outer, inner, d_model, form, accumulate = false, label } = shape;
  const { x, y } = tensors;
  const inPlace = x.buffer === y.buffer && x.offset === y.offset;
  program.add(channelMatmulKernel, {
    tensors: { ...tensors, x: inPlace ? placeholders(program.gpu).read : tensors.x },
    overrides: {
      D_MODEL: d_model,
      OUTER: outer,
      INNER: inner,
      FORM: FORMS.indexOf(form),
      ACCUMULATE: accumulate,
      IN_PLACE: inPlace,
    },
    params: {
      chunks,
      columns: batch * chunks,
      ...panelParams("x", shape.x),
      ...panelParams("y", shape.y),
    },
    workgroups: [
      Math.ceil(d_model / LANES),
      Math.ceil(outer / ROWS),
      Math.ceil(batch * chunks / COLUMNS),
    ],
    label,
  });
}
