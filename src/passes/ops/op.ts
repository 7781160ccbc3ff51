/** What each op is declared with: its tensors by name, and its shape. */

import type { Kinds } from "../kinds.ts";

/** An op: records what computes `tensors` into a program. */
export type Op<K extends Kinds, Tensors, Shape> = (
  program: K["program"],
  tensors: Tensors,
  shape: Shape & { readonly label: string },
) => void;

/** These names, each for a tensor. */
export type Named<Names extends string, Tensor> = { readonly [Name in Names]: Tensor };

/** Some of these names, each for a tensor. */
export type Optional<Names extends string, Tensor> = {
  readonly [Name in Names]?: Tensor | undefined;
};

/** These sizes. */
export type Sizes<Names extends string> = { readonly [Name in Names]: number };

/** Some of these sizes. */
export type Options<Names extends string> = { readonly [Name in Names]?: number };

/** Whether what is there is added to. */
export interface Accumulate {
  readonly accumulate?: boolean;
}

/** What activations are for: any `batch` sequences that have `rows` steps together. */
export interface ActivationSize {
  readonly rows: number;
  /** 0 where each sequence has a single step. */
  readonly batch: number;
  /** For training, which keeps states in tensors of its own. */
  readonly keepsStates?: boolean;
}

/** One state of each sequence in a tensor (batch, slots, ...). */
export interface StateSlot<K extends Kinds> {
  readonly tensor: K["tensor"];
  /** States of each sequence. */
  readonly slots: number;
  /** Which of them. */
  readonly slot: number;
}
