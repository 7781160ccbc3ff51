/** What is inside a block: which kind a config asks for, and what each kind needs. */

import type { Program } from "../gpu/program.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { SSD_CHUNK, ssdWidths } from "../model/ssd_sizes.ts";
import type { ModelConfig } from "../model/config/config.ts";
import {
  mamba1Fwd,
  type Mamba1Scratch,
  mamba1Scratch,
  mamba1ScratchSizes,
  type Mamba1Weights,
  mamba1Weights,
  mamba1WeightSpecs,
} from "./mamba1.ts";
import {
  mamba2Fwd,
  type Mamba2Scratch,
  mamba2Scratch,
  mamba2ScratchSizes,
  type Mamba2Weights,
  mamba2Weights,
  mamba2WeightSpecs,
} from "./mamba2.ts";
import type { Scratch, ScratchSize } from "./activations.ts";
import type { LayerState } from "./state.ts";
import type { WeightLookup, WeightSpec } from "../model/weights.ts";

/** Weights of a mixer of one kind or another. */
export type MixerWeights = Mamba1Weights | Mamba2Weights;

/** Activations of a mixer of one kind or another. */
export type MixerScratch = Mamba1Scratch | Mamba2Scratch;

/** What a block works on. */
export interface BlockTensors<Weights = MixerWeights, Mixer = MixerScratch> {
  readonly norm: Tensor;
  readonly weights: Weights;
  readonly state: LayerState;
  readonly scratch: Scratch<Mixer>;
  /** Where the mixer's output goes instead of being added to the residual stream: for dropout. */
  readonly output?: Tensor | undefined;
}

/** Size of a block's forward pass. */
export interface BlockShape {
  readonly batch: number;
  readonly seqlen: number;
  /** Steps from one kept state to the next, for training; default 0: none is kept. */
  readonly chunk?: number;
  readonly label: string;
}

/** The tensors of a mixer in the checkpoint, whose names start with `prefix`. */
export function mixerWeightSpecs(config: ModelConfig, prefix: string): WeightSpec[] {
  const specs = config.model_type === "mamba2"
    ? mamba2WeightSpecs(config)
    : mamba1WeightSpecs(config);
  return specs.map((spec) => ({ ...spec, name: prefix + spec.name }));
}

/** The same tensors on the GPU. */
export function mixerWeights(
  config: ModelConfig,
  prefix: string,
  { matrix, vector }: WeightLookup,
): MixerWeights {
  const own: WeightLookup = {
    matrix: (name) => matrix(prefix + name),
    vector: (name) => vector(prefix + name),
  };
  return config.model_type === "mamba2" ? mamba2Weights(config, own) : mamba1Weights(config, own);
}

/** Shapes of a sequence's state in one layer, without the batch. */
export function layerStateShapes(config: ModelConfig): Record<keyof LayerState, number[]> {
  const { d_inner, d_conv, d_state } = config;
  if (config.model_type !== "mamba2") {
    return { conv_state: [d_inner, d_conv], ssm_state: [d_inner, d_state] };
  }
  const { nheads, headdim } = config;
  return {
    conv_state: [ssdWidths(config).conv_dim, d_conv],
    ssm_state: [nheads, headdim, d_state],
  };
}

/** Elements of a mixer's activations, by name. */
export function mixerScratchSizes(
  config: ModelConfig,
  { rows, batch }: ScratchSize,
): Record<string, number> {
  if (config.model_type !== "mamba2") return mamba1ScratchSizes(config, rows);
  // Each sequence's last chunk may be a short one.
  return mamba2ScratchSizes(config, { rows, chunks: Math.ceil(rows / SSD_CHUNK) + batch });
}

/** A mixer's activations, from what makes a tensor by its name. */
export function mixerScratch(config: ModelConfig, make: (name: string) => Tensor): MixerScratch {
  return config.model_type === "mamba2" ? mamba2Scratch(make) : mamba1Scratch(make);
}

/**
 * Records one block: residual += mixer(RMSNorm(residual)), and the layer's state moves on by seqlen steps.
 *
 * @throws {TypeError} If weights or activations are of another kind than the config says.
 */
export function blockFwd(
  program: Program,
  config: ModelConfig,
  tensors: BlockTensors,
  shape: BlockShape,
): void {
  const { weights, scratch } = tensors;
  const { mixer } = scratch;
  if (config.model_type === "mamba2") {
    if (weights.kind === "mamba2" && mixer.kind === "mamba2") {
      const own = { ...tensors, weights, scratch: { ...scratch, mixer } };
      return mamba2Fwd(program, config, own, shape);
    }
  } else if (weights.kind === "mamba1" && mixer.kind === "mamba1") {
    const own = { ...tensors, weights, scratch: { ...scratch, mixer } };
    return mamba1Fwd(program, config, own, shape);
  }
  throw new TypeError(
    `Cannot run ${shape.label}: weights are of ${weights.kind} and activations of ${mixer.kind} ` +
      `in a model of ${config.model_type}`,
  );
}
