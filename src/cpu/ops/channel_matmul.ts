/** channel_matmul: each channel's own matrix times the columns of a panel. */

import { OpKind } from "../../../kernels/cpu/op_kind.ts";
import type { ChannelForm, ChannelProduct, Panel } from "../../model/s4_sizes.ts";
import type { CpuProgram } from "../machine/program.ts";
import type { CpuTensor } from "../machine/tensor.ts";
import { rowsGrain } from "./grain.ts";
import { requireSize } from "./require_size.ts";

const FORMS: readonly ChannelForm[] = ["plain", "transposed", "convolution", "correlation"];

/** Channels and columns of an item. */
const CHANNELS = 4, COLUMNS = 2;

/** Sums of a tile of four rows and two columns. */
export const TILE = 8;

/** A panel as records have it. */
export function panelArgs({ ldBatch, ldChunk, offset = 0, limit }: Panel): readonly number[] {
  return [ldBatch, ldChunk, offset, limit];
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
  program: CpuProgram,
  { x, weight, y }: { x: CpuTensor; weight: CpuTensor; y: CpuTensor },
  shape: ChannelProduct & {
    form: ChannelForm;
    x: Panel;
    y: Panel;
    accumulate?: boolean;
    label: string;
  },
): void {
  const { batch, chunks, outer, inner, d_model, form, accumulate = false, label } = shape;
  const isMatrix = form === "plain" || form === "transposed";
  const weightRows = (isMatrix ? outer : 1) * inner;
  requireSize(label, "x", x, batch * shape.x.ldBatch * d_model);
  requireSize(label, "weight", weight, weightRows * d_model);
  requireSize(label, "y", y, batch * shape.y.ldBatch * d_model);
  const tiles = Math.ceil(batch * chunks / COLUMNS);
  program.add({
    kind: OpKind.channel_matmul,
    items: tiles * Math.ceil(d_model / CHANNELS),
    // As a rule all columns of some channels, so that their weights are copied together once.
    grain: Math.min(tiles, rowsGrain(outer * inner / COLUMNS) * COLUMNS),
    args: [
      ...[x.address, weight.address, y.address, d_model, outer, inner, FORMS.indexOf(form)],
      ...[Number(accumulate), chunks, batch * chunks, ...panelArgs(shape.x), ...panelArgs(shape.y)],
    ],
    scratchBytes: (weightRows + 2 * inner + TILE) * CHANNELS * 4,
    label,
  });
}
