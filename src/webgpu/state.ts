/** The state of a session on the device: tensors over the one buffer that {@linkcode stateLayout} lays out. */

import type { Gpu } from "../gpu/device.ts";
import { createTensor, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "../model/config/config.ts";
import { keptParts, type StateLayout, stateLayout } from "../model/state_layout.ts";
import type { SequenceState } from "../passes/forward.ts";
import type { WebGpuKinds } from "./op_set.ts";

/** The state of `batch` independent sequences. All of it lies in `buffer`. */
export interface State extends Disposable {
  readonly batch: number;
  readonly layout: StateLayout;
  readonly buffer: Tensor;
  /** What each half of a block carries. */
  readonly halves: SequenceState<WebGpuKinds>["halves"];
  /** The running mean of a classifier, then its count for each channel: (batch, 2, d_model). */
  readonly pool_state: Tensor | undefined;
  /** The token that the next step consumes: (batch), u32. */
  readonly tokens: Tensor;
  /** How many tokens were drawn: (batch), u32. */
  readonly draws: Tensor;
  /** The latest draws: (batch, RING, 2), id and bits of the log-probability. */
  readonly ring: Tensor;
  /** Bitmap of the ids consumed: (batch, ceil(vocab_size / 32)). */
  readonly seen: Tensor | undefined;
  /** Logits of the latest step: (batch, vocab_size or n_classes). */
  readonly logits: Tensor;
}

/** A named part of the state, as snapshots store it. */
export interface KeptTensor {
  readonly name: string;
  readonly dtype: "F32" | "U32";
  readonly tensor: Tensor;
}

/**
 * Allocates a state of zeros: the state before the first step.
 *
 * @param place Where it lies; default a buffer of its own.
 */
export function createState(
  gpu: Gpu,
  config: ModelConfig,
  batch: number,
  place?: Tensor,
): State {
  const layout = stateLayout(config, batch);
  const shape = [layout.sizeBytes / 4];
  const buffer = place?.view(0, shape) ?? createTensor(gpu, "state", shape);
  const kept = (name: string): Tensor | undefined =>
    layout.parts.get(name)?.isKept ? view(layout, buffer, name) : undefined;
  return {
    batch,
    layout,
    buffer,
    tokens: view(layout, buffer, "tokens"),
    draws: view(layout, buffer, "draws"),
    ring: view(layout, buffer, "ring"),
    seen: kept("seen"),
    logits: view(layout, buffer, "logits"),
    pool_state: kept("pool_state"),
    halves: layout.halves.map((names) =>
      Object.fromEntries(
        Object.entries(names).map(([own, name]) => [own, view(layout, buffer, name)]),
      )
    ),
    [Symbol.dispose](): void {
      buffer[Symbol.dispose]();
    },
  };
}

/** The parts that a snapshot keeps, by name. */
export function keptTensors({ layout, buffer }: State): KeptTensor[] {
  return keptParts(layout).map(({ name, dtype }) => ({
    name,
    dtype,
    tensor: view(layout, buffer, name),
  }));
}

function view({ parts }: StateLayout, buffer: Tensor, name: string): Tensor {
  const part = parts.get(name);
  if (part === undefined) throw new RangeError(`Cannot find "${name}" in the state: it has none`);
  return buffer.view(part.offset, part.shape);
}
