/** Reads what tests/golden has on training: tools/golden_training.py says what that is. */

import {
  type GoldenTensor,
  readGoldenConfig,
  readGoldenJson,
  readGoldenTensors,
} from "./golden_files.ts";
import type { MambaConfig } from "../src/checks/reference/mamba.ts";

/** Folders with gradients.safetensors and losses.json: language models tied and not, classifiers. */
export const GOLDEN_TRAINED: readonly string[] = [
  "mamba1",
  "mamba1-odd",
  "classifier",
  "classifier-last",
];

/**
 * The same for what the reference has no backward of: FalconMamba, and Mamba-2 with one group, with several, and with what
 * only the raw form has.
 */
export const GOLDEN_TRAINED_OTHERS: readonly string[] = [
  "falcon-mamba",
  "mamba2",
  "mamba2-groups",
  "mamba2-options",
];

/** Ten steps of AdamW. */
export interface GoldenRun {
  /** Mean cross-entropy before each step. */
  losses: number[];
  /** Norm of the whole gradient at each step, before clipping. */
  norms: number[];
}

/** One folder: a model, a batch, and what PyTorch makes of them. */
export interface GoldenTraining {
  /** Of the model. */
  config: MambaConfig;
  /** By official name, as stored. */
  weights: Record<string, GoldenTensor>;
  /** Ids (batch, seqlen), or vectors (batch, seqlen, d_input). */
  inputs: Float32Array | number[];
  /** Number of sequences. */
  batch: number;
  /** Number of steps. */
  seqlen: number;
  /** (batch, seqlen): the right column of the logits after each step, -1 where the loss reads none. */
  targets: Int32Array;
  /** How many targets are not -1: the loss is their mean. */
  targetCount: number;
  /** The loss of the weights as stored. */
  loss: number;
  /** By the weights' names, in their shapes. */
  gradients: Record<string, GoldenTensor>;
  /** torch.optim.AdamW's, and the global norm that the second run clips at. */
  settings: {
    lr: number;
    betas: [number, number];
    eps: number;
    weight_decay: number;
    max_norm: number;
  };
  /** Without clipping. */
  plain: GoldenRun;
  /** Clipped at settings.max_norm. */
  clipped: GoldenRun;
}

/** Everything that `folder` has on training. */
export function readGoldenTraining(folder: string): GoldenTraining {
  const config = readGoldenConfig(folder);
  const { loss, ...gradients } = readGoldenTensors(folder, "gradients.safetensors");
  const { targets: counted, settings, plain, clipped } = readGoldenJson<
    Pick<GoldenTraining, "settings" | "plain" | "clipped"> & { targets: number[] | number[][] }
  >(folder, "losses.json");
  const isLanguageModel = config.head.kind === "lm";
  const inputs = isLanguageModel
    ? readGoldenJson<number[][]>(folder, "ids_batch.json").flat()
    : readGoldenTensors(folder, "expected.safetensors").inputs_batch?.data ?? [];
  const [batch, width] = [
    counted.length,
    config.input.kind === "linear" ? config.input.d_input : 1,
  ];
  const seqlen = inputs.length / batch / width;
  // The last id of a sequence has no next one; a classifier is asked after the last step.
  const targets = counted.map((own) =>
    typeof own === "number" ? [...Array<number>(seqlen - 1).fill(-1), own] : [...own, -1]
  ).flat();
  return {
    config,
    weights: Object.fromEntries(
      Object.entries(readGoldenTensors(folder, "model.safetensors")).map(
        // The raw form's name, while gradients have the other's.
        ([name, tensor]) => [name.replace(".embedding.", ".embeddings."), tensor],
      ),
    ),
    inputs,
    batch,
    seqlen,
    targets: Int32Array.from(targets),
    targetCount: targets.filter((target) => target >= 0).length,
    loss: loss?.data[0] ?? NaN,
    gradients,
    settings,
    plain,
    clipped,
  };
}

/** Whether AdamW's decay applies to a tensor of this name. */
export function isDecayed(name: string): boolean {
  return !/norm|\.A_log$|\.D$|bias$/.test(name);
}
