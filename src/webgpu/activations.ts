/** Activations: what a forward pass writes and reads again, allocated once for a number of rows and used for ever. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { SSD_CHUNK } from "../model/ssd_sizes.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { type MixerScratch, mixerScratch, mixerScratchSizes } from "./mixer.ts";

/** Activations for up to `rows` = batch * seqlen rows. */
export interface Scratch<Mixer = MixerScratch> extends Disposable {
  readonly rows: number;
  /** Token ids (rows), u32, or input vectors (rows, d_input). */
  readonly inputs: Tensor;
  /** The residual stream (rows, d_model). */
  readonly residual: Tensor;
  /** RMSNorm of it (rows, d_model). */
  readonly normed: Tensor;
  /** A classifier's running means (rows, d_model). */
  readonly pooled: Tensor;
  /** What is inside a block; all blocks use the same. */
  readonly mixer: Mixer;
}

/** What activations are for: any `batch` sequences that have `rows` steps together. */
export interface ScratchSize {
  readonly rows: number;
  /** 0 where each sequence has a single step. */
  readonly batch: number;
}

/** Elements of each part. */
function scratchSizes(config: ModelConfig, size: ScratchSize): Record<string, number> {
  const { d_model, head, input } = config;
  return {
    inputs: size.rows * (input.kind === "linear" ? input.d_input : 1),
    residual: size.rows * d_model,
    normed: size.rows * d_model,
    pooled: head.kind === "classifier" && head.pool === "mean" ? size.rows * d_model : 0,
    ...mixerScratchSizes(config, size),
  };
}

/** Bytes a row of activations takes, all parts together. */
export function rowBytes(config: ModelConfig): number {
  const elements = Object.values(scratchSizes(config, { rows: SSD_CHUNK, batch: 0 }));
  return elements.reduce((sum, count) => sum + 4 * count / SSD_CHUNK, 0);
}

/** The most rows in `batch` sequences of which no activation exceeds `maxBytes`; below 1 where there are none. */
export function rowsWithin(config: ModelConfig, batch: number, maxBytes: number): number {
  const rest = scratchSizes(config, { rows: 0, batch });
  const all = scratchSizes(config, { rows: SSD_CHUNK, batch });
  const rows = Object.entries(all).map(([name, count]) => {
    const fixed = rest[name] ?? 0;
    return count > fixed ? (maxBytes / 4 - fixed) * SSD_CHUNK / (count - fixed) : Infinity;
  });
  return Math.floor(Math.min(...rows));
}

/** Whether activations for one number of sequences do for any other: Mamba-2 keeps a state for each sequence's chunks. */
export function servesAnyBatch({ model_type }: ModelConfig): boolean {
  return model_type !== "mamba2";
}

/** Allocates activations. */
export function createScratch(gpu: Gpu, config: ModelConfig, size: ScratchSize): Scratch {
  const sizes = scratchSizes(config, size);
  const tensors: Tensor[] = [];
  const make = (name: string): Tensor => {
    const tensor = createTensor(gpu, name, [sizes[name] ?? 0]);
    tensors.push(tensor);
    return tensor;
  };
  return {
    rows: size.rows,
    inputs: make("inputs"),
    residual: make("residual"),
    normed: make("normed"),
    pooled: make("pooled"),
    mixer: mixerScratch(config, make),
    [Symbol.dispose](): void {
      for (const tensor of tensors) tensor[Symbol.dispose]();
    },
  };
}
