/** Activations: what a forward pass writes and reads again, allocated once for a number of rows and used for ever. */

import { sharedByPart } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { inputWidth, poolsMean } from "../model/ends.ts";
import { ownParts } from "../runtime/own_parts.ts";
import { partOf } from "./mixers/mixers.ts";
import type { Cpu } from "./module.ts";
import { type CpuTensor, createCpuTensor } from "./tensor.ts";

/** Activations for up to `rows` = batch * seqlen rows. */
export interface Activations extends Disposable {
  readonly rows: number;
  /** Token ids (rows), u32, or input vectors (rows, d_input). */
  readonly inputs: CpuTensor;
  /** The residual stream (rows, d_model). */
  readonly residual: CpuTensor;
  /** RMSNorm of it (rows, d_model). */
  readonly normed: CpuTensor;
  /** A classifier's running means (rows, d_model). */
  readonly pooled: CpuTensor;
  /** What is inside each half of a block, by name; halves of one kind use the same. */
  readonly parts: readonly Readonly<Record<string, CpuTensor>>[];
}

type CommonActivation = "inputs" | "residual" | "normed" | "pooled";

/** Elements of what does not belong to a part of a block. */
function commonSizes(config: ModelConfig, rows: number): Record<CommonActivation, number> {
  const { d_model } = config;
  return {
    inputs: rows * inputWidth(config),
    residual: rows * d_model,
    normed: rows * d_model,
    pooled: poolsMean(config) ? rows * d_model : 0,
  };
}

/** Bytes of activations for so many rows. */
export function activationBytes(config: ModelConfig, rows: number): number {
  const own: Readonly<Record<string, number>>[] = [];
  sharedByPart(config, (part) => own.push(partOf(part).activationSizes(config, rows)));
  return [commonSizes(config, rows), ...own]
    .flatMap((sizes) => Object.values(sizes))
    .reduce((sum, count) => sum + 4 * count, 0);
}

/** Allocates activations. */
export function createActivations(cpu: Cpu, config: ModelConfig, rows: number): Activations {
  const { inputs, residual, normed, pooled } = commonSizes(config, rows);
  return ownParts((own) => {
    const make = (name: string, size: number): CpuTensor => own(createCpuTensor(cpu, name, [size]));
    return {
      rows,
      inputs: make("inputs", inputs),
      residual: make("residual", residual),
      normed: make("normed", normed),
      pooled: make("pooled", pooled),
      parts: sharedByPart(config, (part) => {
        const sizes = Object.entries(partOf(part).activationSizes(config, rows));
        return Object.fromEntries(sizes.map(([name, size]) => [name, make(name, size)]));
      }),
    };
  });
}
