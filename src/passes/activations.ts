/** Activations: what a forward pass writes and reads again, allocated once for a number of rows and used for ever. */

import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, poolsMean } from "../model/ends.ts";
import { ownParts } from "../runtime/own_parts.ts";
import type { PassKinds } from "./kinds.ts";
import type { ActivationSize, Named } from "./ops/op.ts";
import type { Parts } from "./parts.ts";
import type { Platform } from "./platform.ts";
import { joinSizes, makeTogether } from "./together.ts";

/** Activations for up to `rows` = batch * seqlen rows. */
export interface Activations<K extends PassKinds> extends Disposable {
  readonly rows: number;
  /** Token ids (rows), u32, or input vectors (rows, d_input). */
  readonly inputs: K["tensor"];
  /** The residual stream (rows, d_model). */
  readonly residual: K["tensor"];
  /** RMSNorm of it (rows, d_model). */
  readonly normed: K["tensor"];
  /** A classifier's running means (rows, d_model). */
  readonly pooled: K["tensor"];
  /** What is inside each half of a block; halves of one kind use the same. */
  readonly parts: readonly Named<string, K["tensor"]>[];
}

/** A multiple of the steps that any part takes at a time, so that what a row takes is the same for each. */
const SAMPLE_ROWS = 64;

/** Elements of what does not belong to a part of a block. */
function commonSizes(
  config: ModelConfig,
  { rows }: ActivationSize,
): Record<"inputs" | "residual" | "normed" | "pooled", number> {
  const { d_model } = config;
  return {
    inputs: rows * inputWidth(config),
    residual: rows * d_model,
    normed: rows * d_model,
    pooled: poolsMean(config) ? rows * d_model : 0,
  };
}

/** Elements of all activations, of each tensor. */
function tensorSizes<K extends PassKinds>(
  parts: Parts<K>,
  config: ModelConfig,
  size: ActivationSize,
): number[] {
  const all = Object.values<number>(commonSizes(config, size));
  sharedByPart(config, (part) => {
    const own = parts.of(part);
    all.push(...Object.values(joinSizes(own.activationSizes(config, size), own.together)));
  });
  return all;
}

/** Bytes that a row more takes, of all activations together. */
export function rowBytes<K extends PassKinds>(parts: Parts<K>, config: ModelConfig): number {
  const elements = (rows: number) =>
    tensorSizes(parts, config, { rows, batch: 1 }).reduce((sum, count) => sum + count, 0);
  return 4 * (elements(SAMPLE_ROWS) - elements(0)) / SAMPLE_ROWS;
}

/** The most rows in `batch` sequences of which no activation exceeds `maxBytes`; below 1 where there are none. */
export function rowsWithin<K extends PassKinds>(
  parts: Parts<K>,
  config: ModelConfig,
  batch: number,
  maxBytes: number,
): number {
  const rest = tensorSizes(parts, config, { rows: 0, batch });
  const rows = tensorSizes(parts, config, { rows: SAMPLE_ROWS, batch }).map((count, index) => {
    const fixed = rest[index] ?? 0;
    return count > fixed ? (maxBytes / 4 - fixed) * SAMPLE_ROWS / (count - fixed) : Infinity;
  });
  return Math.floor(Math.min(...rows));
}

/** Whether activations for one number of sequences do for any other: some parts have something for each sequence. */
export function servesAnyBatch<K extends PassKinds>(
  parts: Parts<K>,
  config: ModelConfig,
): boolean {
  const none = tensorSizes(parts, config, { rows: 0, batch: 0 });
  const one = tensorSizes(parts, config, { rows: 0, batch: 1 });
  return one.every((count, index) => count === none[index]);
}

/** Allocates activations. */
export function createActivations<K extends PassKinds>(
  platform: Platform<K>,
  config: ModelConfig,
  size: ActivationSize,
): Activations<K> {
  return ownParts((own) => {
    const make = (name: string, count: number): K["tensor"] =>
      own(platform.createTensor(name, [count]));
    const { inputs, residual, normed, pooled } = commonSizes(config, size);
    return {
      rows: size.rows,
      inputs: make("inputs", inputs),
      residual: make("residual", residual),
      normed: make("normed", normed),
      pooled: make("pooled", pooled),
      parts: sharedByPart(config, (part) => {
        const mixer = platform.parts.of(part);
        const makeOwn = (name: string, count: number) => make(`${part.name}.${name}`, count);
        return makeTogether<K["tensor"]>(
          mixer.activationSizes(config, size),
          mixer.together,
          makeOwn,
        );
      }),
    };
  });
}
