/** Activations: what a forward pass writes and reads again, allocated once for a number of rows and used for ever. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, poolsMean } from "../model/ends.ts";
import type { BlockPart } from "../model/mixers/mixer.ts";
import { partOf } from "./mixers/mixers.ts";
import type { ActivationSize } from "./mixers/part.ts";

/** Activations for up to `rows` = batch * seqlen rows. */
export interface Activations extends Disposable {
  readonly rows: number;
  /** Token ids (rows), u32, or input vectors (rows, d_input). */
  readonly inputs: Tensor;
  /** The residual stream (rows, d_model). */
  readonly residual: Tensor;
  /** RMSNorm of it (rows, d_model). */
  readonly normed: Tensor;
  /** A classifier's running means (rows, d_model). */
  readonly pooled: Tensor;
  /** What is inside each half of a block; halves of one kind use the same. */
  readonly parts: readonly object[];
}

/** A multiple of the steps that any part takes at a time, so that what a row takes is the same for each. */
const SAMPLE_ROWS = 64;

/** Elements of all activations, by a name that is theirs alone. */
function activationSizes(config: ModelConfig, size: ActivationSize): Map<string, number> {
  const { d_model } = config;
  const sizes = new Map([
    ["inputs", size.rows * inputWidth(config)],
    ["residual", size.rows * d_model],
    ["normed", size.rows * d_model],
    ["pooled", poolsMean(config) ? size.rows * d_model : 0],
  ]);
  sharedByPart(config, (part) => {
    for (const [name, count] of Object.entries(partOf(part).activationSizes(config, size))) {
      sizes.set(ownName(part, name), count);
    }
  });
  return sizes;
}

function ownName(part: BlockPart, name: string): string {
  return `${part.name}.${name}`;
}

/** Bytes that a row more takes, of all activations together. */
export function rowBytes(config: ModelConfig): number {
  const elements = (rows: number) =>
    activationSizes(config, { rows, batch: 0 }).values().reduce((sum, count) => sum + count, 0);
  return 4 * (elements(SAMPLE_ROWS) - elements(0)) / SAMPLE_ROWS;
}

/** The most rows in `batch` sequences of which no activation exceeds `maxBytes`; below 1 where there are none. */
export function rowsWithin(config: ModelConfig, batch: number, maxBytes: number): number {
  const rest = activationSizes(config, { rows: 0, batch });
  const all = activationSizes(config, { rows: SAMPLE_ROWS, batch });
  const rows = [...all].map(([name, count]) => {
    const fixed = rest.get(name) ?? 0;
    return count > fixed ? (maxBytes / 4 - fixed) * SAMPLE_ROWS / (count - fixed) : Infinity;
  });
  return Math.floor(Math.min(...rows));
}

/** Whether activations for one number of sequences do for any other: some parts have something for each sequence. */
export function servesAnyBatch(config: ModelConfig): boolean {
  const none = activationSizes(config, { rows: 0, batch: 0 });
  return activationSizes(config, { rows: 0, batch: 1 }).entries()
    .every(([name, count]) => count === none.get(name));
}

/** Allocates activations. */
export function createActivations(
  gpu: Gpu,
  config: ModelConfig,
  size: ActivationSize,
): Activations {
  const sizes = activationSizes(config, size);
  const tensors: Tensor[] = [];
  const make = (name: string): Tensor => {
    const tensor = createTensor(gpu, name, [sizes.get(name) ?? 0]);
    tensors.push(tensor);
    return tensor;
  };
  return {
    rows: size.rows,
    inputs: make("inputs"),
    residual: make("residual"),
    normed: make("normed"),
    pooled: make("pooled"),
    parts: sharedByPart(
      config,
      (part) => partOf(part).activations((name) => make(ownName(part, name))),
    ),
    [Symbol.dispose](): void {
      for (const tensor of tensors) tensor[Symbol.dispose]();
    },
  };
}
