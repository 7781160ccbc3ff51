/** The state of one or more sequences as bytes: everything that the next token depends on, in one buffer. */

import { blockHalves } from "./blocks.ts";
import type { ModelConfig } from "./config/config.ts";
import { logitCount, poolsMean } from "./ends.ts";
import { RING } from "./sampler.ts";
import { elementCount, roundUp } from "./shapes.ts";

/** Parts begin at multiples of this, so that each can be bound: what WebGPU asks of offsets. */
const ALIGNMENT = 256;

/** One part of a state. */
export interface StatePart {
  /** Its name, as snapshots have it: `layers.3.ssm_state`, ... */
  readonly name: string;
  /** Of its elements, 4 bytes each. */
  readonly dtype: "F32" | "U32";
  /** Row-major shape, the batch first. */
  readonly shape: readonly number[];
  /** Where it begins in the buffer, in bytes. */
  readonly offset: number;
  /** Whether snapshots keep it. Others are a way out for results, or not used by this model. */
  readonly isKept: boolean;
}

/** Where everything lies. */
export interface StateLayout {
  /** All parts by name, in the order of the buffer. */
  readonly parts: ReadonlyMap<string, StatePart>;
  /** Names of each block half's parts, by what the half's part calls them. */
  readonly halves: readonly Readonly<Record<string, string>>[];
  /** Bytes of the buffer. */
  readonly sizeBytes: number;
}

/**
 * Lays out the state of `batch` independent sequences.
 *
 * Beside what the blocks carry there are `tokens`, which the next step consumes (batch); `draws`, how many were made (batch);
 * `ring`, the latest draws (batch, RING, 2), id and bits of the log-probability; `seen`, a bitmap of the ids consumed;
 * `logits` of the latest step; and `pool_state`, a classifier's running mean and then its count for each channel
 * (batch, 2, d_model).
 */
export function stateLayout(config: ModelConfig, batch: number): StateLayout {
  const { d_model, input } = config;
  const hasIds = input.kind === "embedding";
  const pools = poolsMean(config);
  const parts = new Map<string, StatePart>();
  let sizeBytes = 0;
  const add = (
    name: string,
    dtype: StatePart["dtype"],
    shape: readonly number[],
    isKept: boolean,
  ): void => {
    parts.set(name, { name, dtype, shape: [batch, ...shape], offset: sizeBytes, isKept });
    sizeBytes += roundUp(batch * elementCount(shape) * 4, ALIGNMENT);
  };
  add("tokens", "U32", [], hasIds);
  add("draws", "U32", [], hasIds);
  add("ring", "U32", [RING, 2], false);
  add("seen", "U32", [hasIds ? Math.ceil(input.vocab_size / 32) : 1], hasIds);
  add("logits", "F32", [logitCount(config)], true);
  add("pool_state", "F32", [2, pools ? d_model : 1], pools);
  const halves = blockHalves(config).map(({ label, part }) => {
    const names: Record<string, string> = {};
    for (const [own, shape] of Object.entries(part.stateShapes(config))) {
      names[own] = `${label}.${own}`;
      add(`${label}.${own}`, "F32", shape, true);
    }
    return names;
  });
  return { parts, halves, sizeBytes };
}

/** The parts that a snapshot keeps, in its order: what the blocks carry, then the rest. */
export function keptParts(layout: StateLayout): StatePart[] {
  const ofBlocks = layout.halves.flatMap((names) => Object.values(names));
  const names = [...ofBlocks, "pool_state", "seen", "tokens", "draws", "logits"];
  return names.flatMap((name) => layout.parts.get(name) ?? []).filter(({ isKept }) => isKept);
}

/** Bytes that one sequence's recurrence takes: what the blocks carry, and a classifier's mean. */
export function stateBytes(config: ModelConfig): number {
  const { parts, halves } = stateLayout(config, 1);
  const names = halves.flatMap((own) => Object.values(own));
  if (poolsMean(config)) names.push("pool_state");
  return names.reduce((sum, name) => sum + 4 * elementCount(parts.get(name)?.shape ?? []), 0);
}
