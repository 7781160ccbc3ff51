/** The backward of what is inside a block: what each kind keeps and needs. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { SCAN_CHUNK } from "../ops/selective_scan.ts";
import { SSD_CHUNK } from "../model/ssd_sizes.ts";
import type { Activations, BatchShape, LayerActivations } from "./training_activations.ts";
import type { ModelConfig } from "../model/config/config.ts";
import {
  mamba1Bwd,
  type Mamba1Gradients,
  mamba1Gradients,
  mamba1PartialElements,
} from "./mamba1_bwd.ts";
import {
  MAMBA2_RECOMPUTED,
  mamba2Bwd,
  type Mamba2Gradients,
  mamba2Gradients,
  mamba2PartialElements,
} from "./mamba2_bwd.ts";
import { type MixerScratch, mixerScratch, mixerScratchSizes, type MixerWeights } from "./mixer.ts";

/** Gradients of activations of a mixer of one kind or another. */
export type MixerGradients = Mamba1Gradients | Mamba2Gradients;

/** A layer's parameters, or their gradients. */
export interface LayerParameters<Weights = MixerWeights> {
  readonly norm: Tensor;
  readonly mixer: Weights;
}

/** What a block's backward works on. */
export interface BlockBwdTensors<
  Weights = MixerWeights,
  Mixer = MixerScratch,
  Gradients = MixerGradients,
> {
  readonly weights: LayerParameters<Weights>;
  readonly gradients: LayerParameters<Weights>;
  readonly activations: Activations;
  readonly layer: LayerActivations;
  /** The layer's activations inside the block. */
  readonly scratch: Mixer;
  /** Where their gradients go. */
  readonly grad: Gradients;
  /** The residual stream before the block. */
  readonly input: Tensor;
  /** The gradient of what the mixer added to it, which is read before anything is written. */
  readonly gradOutput: Tensor;
}

/** Steps from one kept state to the next. */
export function trainingChunk(config: ModelConfig): number {
  return config.model_type === "mamba2" ? SSD_CHUNK : SCAN_CHUNK;
}

/**
 * Activations that each layer keeps for its backward half. What that half computes again is in `shared`, by name, for all
 * layers, and is made where it is not yet there.
 */
export function trainingScratch(
  config: ModelConfig,
  { batch, seqlen }: BatchShape,
  make: (name: string, size: number) => Tensor,
  shared: Map<string, Tensor>,
): MixerScratch {
  const sizes = mixerScratchSizes(config, { rows: batch * seqlen, batch });
  return mixerScratch(config, (name) => {
    // States of chunks are kept, each layer's own: no scratch for them.
    const size = name === "states" ? 0 : sizes[name] ?? 0;
    if (config.model_type !== "mamba2" || !MAMBA2_RECOMPUTED.has(name)) return make(name, size);
    const found = shared.get(name) ?? make(name, size);
    shared.set(name, found);
    return found;
  });
}

/** Allocates the gradients of activations inside a block. */
export function mixerGradients(
  config: ModelConfig,
  shape: BatchShape,
  chunk: number,
  make: (name: string, size: number) => Tensor,
): MixerGradients {
  return config.model_type === "mamba2"
    ? mamba2Gradients(config, { ...shape, chunk }, make)
    : mamba1Gradients(config, shape, make);
}

/** Elements of the largest partial sums of any parameter's gradient in a block, matrices aside. */
export function mixerPartialElements(config: ModelConfig, shape: BatchShape): number {
  return config.model_type === "mamba2"
    ? mamba2PartialElements(config, shape)
    : mamba1PartialElements(config, shape);
}

/**
 * Records the backward half of one block.
 *
 * @throws {TypeError} If weights or activations are of another kind than the config says.
 */
export function blockBwd(
  program: Program,
  config: ModelConfig,
  tensors: Omit<BlockBwdTensors, "scratch" | "grad">,
  label: string,
): void {
  const { layer: { scratch: { mixer: scratch } }, activations: { grad: { mixer: grad } } } =
    tensors;
  const { norm, mixer } = tensors.weights;
  const { norm: grad_norm, mixer: grad_mixer } = tensors.gradients;
  if (config.model_type === "mamba2") {
    if (
      scratch.kind === "mamba2" && grad.kind === "mamba2" &&
      mixer.kind === "mamba2" && grad_mixer.kind === "mamba2"
    ) {
      const parameters = {
        weights: { norm, mixer },
        gradients: { norm: grad_norm, mixer: grad_mixer },
      };
      return mamba2Bwd(program, config, { ...tensors, ...parameters, scratch, grad }, label);
    }
  } else if (
    scratch.kind === "mamba1" && grad.kind === "mamba1" &&
    mixer.kind === "mamba1" && grad_mixer.kind === "mamba1"
  ) {
    const parameters = {
      weights: { norm, mixer },
      gradients: { norm: grad_norm, mixer: grad_mixer },
    };
    return mamba1Bwd(program, config, { ...tensors, ...parameters, scratch, grad }, label);
  }
  throw new TypeError(
    `Cannot run ${label} backward: weights are of ${mixer.kind} and activations of ${scratch.kind} ` +
      `in a model of ${config.model_type}`,
  );
}
