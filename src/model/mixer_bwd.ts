/** The backward of what is inside a block: what each kind keeps and needs. */

import type { Gpu } from "../gpu/device.ts";
import type { Program } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { scanChunk } from "../ops/selective_scan_bwd.ts";
import type { Activations, BatchShape, LayerActivations } from "./activations.ts";
import type { Mamba1Config, ModelConfig } from "./config.ts";
import {
  mamba1Bwd,
  type Mamba1Gradients,
  mamba1Gradients,
  mamba1PartialElements,
} from "./mamba1_bwd.ts";
import { type MixerScratch, mixerScratch, mixerScratchSizes, type MixerWeights } from "./mixer.ts";

/** A layer's parameters, or their gradients. */
export interface LayerParameters<Weights = MixerWeights> {
  readonly norm: Tensor;
  readonly mixer: Weights;
}

/** What a block's backward works on. */
export interface BlockBwdTensors<
  Weights = MixerWeights,
  Mixer = MixerScratch,
  Gradients = Mamba1Gradients,
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

/**
 * Steps from one kept state to the next.
 *
 * @throws {TypeError} If the model is of Mamba-2, whose backward is not there yet.
 */
export function trainingChunk(gpu: Gpu, config: ModelConfig): number {
  return scanChunk(gpu, requireMamba1(config).d_state);
}

/** Activations that each layer keeps for its backward half. */
export function trainingScratch(
  config: ModelConfig,
  { batch, seqlen }: BatchShape,
  make: (name: string, size: number) => Tensor,
): MixerScratch {
  const sizes = mixerScratchSizes(config, { rows: batch * seqlen, batch });
  return mixerScratch(config, (name) => make(name, sizes[name] ?? 0));
}

/** Allocates the gradients of activations inside a block. */
export function mixerGradients(
  config: ModelConfig,
  shape: BatchShape,
  make: (name: string, size: number) => Tensor,
): Mamba1Gradients {
  return mamba1Gradients(requireMamba1(config), shape, make);
}

/** Elements of the largest partial sums of any parameter's gradient in a block, matrices aside. */
export function mixerPartialElements(config: ModelConfig, shape: BatchShape): number {
  return mamba1PartialElements(requireMamba1(config), shape);
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
  if (scratch.kind !== "mamba1" || mixer.kind !== "mamba1" || grad_mixer.kind !== "mamba1") {
    throw new TypeError(
      `Cannot run ${label} backward: weights are of ${mixer.kind} and activations of ${scratch.kind}`,
    );
  }
  const parameters = {
    weights: { norm, mixer },
    gradients: { norm: grad_norm, mixer: grad_mixer },
  };
  mamba1Bwd(program, requireMamba1(config), { ...tensors, ...parameters, scratch, grad }, label);
}

function requireMamba1(config: ModelConfig): Mamba1Config {
  if (config.model_type !== "mamba2") return config;
  throw new TypeError(
    "Cannot train a model of Mamba-2: this version trains Mamba-1 and FalconMamba",
  );
}
