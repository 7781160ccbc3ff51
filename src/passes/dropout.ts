/** What a model drops at random in training: where, and by which masks. */

import { blockHalves } from "../model/blocks.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { PassKinds } from "./kinds.ts";
import type { OpSet } from "./op_set.ts";

/** Elements of the embedding and of each block's output that are left out at random. */
export interface Dropout<K extends PassKinds> {
  /** Chance of each, from 0 to below 1. */
  readonly probability: number;
  /** Key of the random generator. */
  readonly seed: number;
  /** A number that is another for each pass (1, u32): forward and backward of one pass drop the same. */
  readonly draw: K["tensor"];
}

/** The same at one place of the model, which drops by random numbers of its own. */
export interface DropoutSite<K extends PassKinds> extends Dropout<K> {
  readonly site: number;
}

/** What a half may drop within its part: sites 0 to n are the outputs of the n halves and the embedding. */
export function dropoutWithin<K extends PassKinds>(
  config: ModelConfig,
  dropped: Dropout<K> | undefined,
  half: number,
): DropoutSite<K> | undefined {
  return dropped && { ...dropped, site: blockHalves(config).length + 1 + half };
}

/** Records y = x, or y += x, without the elements that are dropped. */
export function recordDropout<K extends PassKinds>(
  ops: OpSet<K>,
  program: K["program"],
  { draw, ...settings }: DropoutSite<K>,
  tensors: { readonly x: K["tensor"]; readonly y: K["tensor"] },
  shape: { readonly size: number; readonly accumulate?: boolean; readonly label: string },
): void {
  ops.dropout(program, { ...tensors, draw }, { ...settings, ...shape });
}
