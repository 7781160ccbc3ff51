/** Activations: what a forward pass writes and reads again, allocated once for a number of rows and used for ever. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "./config.ts";

/** Activations for up to `rows` = batch * seqlen rows. */
export interface Scratch extends Disposable {
  readonly rows: number;
  /** Token ids (rows), u32, or input vectors (rows, d_input). */
  readonly inputs: Tensor;
  /** The residual stream (rows, d_model). */
  readonly residual: Tensor;
  /** RMSNorm of it (rows, d_model). */
  readonly normed: Tensor;
  /** A classifier's running means (rows, d_model). */
  readonly pooled: Tensor;
  /** in_proj's output (rows, 2 d_inner). */
  readonly xz: Tensor;
  /** conv1d's output (rows, d_inner). */
  readonly u: Tensor;
  /** x_proj's output (rows, dt_rank + 2 d_state). */
  readonly x_dbl: Tensor;
  /** dt_proj's output (rows, d_inner). */
  readonly dt: Tensor;
  /** The gated scan's output (rows, d_inner). */
  readonly y: Tensor;
}

/** Elements a row of activations takes, by part. */
function rowShapes(config: ModelConfig): Record<Exclude<keyof Scratch, "rows" | symbol>, number> {
  const { d_model, d_inner, d_state, dt_rank, input } = config;
  return {
    inputs: input.kind === "linear" ? input.d_input : 1,
    residual: d_model,
    normed: d_model,
    pooled: config.head.kind === "classifier" && config.head.pool === "mean" ? d_model : 0,
    xz: 2 * d_inner,
    u: d_inner,
    x_dbl: dt_rank + 2 * d_state,
    dt: d_inner,
    y: d_inner,
  };
}

/** Bytes a row of activations takes, all parts together. */
export function rowBytes(config: ModelConfig): number {
  return Object.values(rowShapes(config)).reduce((sum, elements) => sum + elements * 4, 0);
}

/** The most rows of which no activation exceeds `maxBytes`. */
export function rowsWithin(config: ModelConfig, maxBytes: number): number {
  const widest = Math.max(...Object.values(rowShapes(config)));
  return Math.floor(maxBytes / (widest * 4));
}

/** Allocates activations for `rows` rows. */
export function createScratch(gpu: Gpu, config: ModelConfig, rows: number): Scratch {
  const shapes = rowShapes(config);
  const tensors: Tensor[] = [];
  const make = (name: keyof typeof shapes): Tensor => {
    const tensor = createTensor(gpu, name, [rows, shapes[name]]);
    tensors.push(tensor);
    return tensor;
  };
  return {
    rows,
    inputs: make("inputs"),
    residual: make("residual"),
    normed: make("normed"),
    pooled: make("pooled"),
    xz: make("xz"),
    u: make("u"),
    x_dbl: make("x_dbl"),
    dt: make("dt"),
    y: make("y"),
    [Symbol.dispose](): void {
      for (const tensor of tensors) tensor[Symbol.dispose]();
    },
  };
}
