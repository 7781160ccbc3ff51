/** Checkpoints of the reader's own: looked at before they are loaded, and kept or deleted. */

import { describeCheckpoint } from "../../engine/load_model.ts";
import { type Checkpoint, openCheckpoint } from "../../io/checkpoint.ts";
import { stateDictPrefix } from "../../io/state_dict.ts";
import type { WeightDType } from "../../../mod.ts";
import { parseQuantization } from "../../model/config/quantization.ts";
import { planLoad } from "../../model/weights/load_plan.ts";
import { familyOf } from "../../model/mixers/mixers.ts";
import { stateBytes } from "../../model/state_layout.ts";
import { parameterCount } from "../../model/weights/weight_specs.ts";
import type { Handlers, Slot } from "../calls.ts";
import { deleteKeptFile, listKeptFiles } from "./kept_pieces.ts";
import { openSource } from "./model_source.ts";

/** What a checkpoint is, by its config and the header of its weights. */
export interface Inspection {
  readonly name: string;
  readonly family: string;
  readonly parameters: number;
  /** Bytes that loading reads. */
  readonly storedBytes: number;
  /** Bytes of memory that weights take, by what they are loaded as. */
  readonly weightBytes: readonly { readonly dtype: WeightDType; readonly sizeBytes: number }[];
  readonly stateBytes: number;
  /** Where on the page it can be used; undefined where it cannot, for the reason given. */
  readonly slot: Slot | undefined;
  readonly reason: string | undefined;
}

/** What weights may be loaded as. */
const DTYPES: readonly WeightDType[] = ["auto", "f32", "f16", "int8", "int4"];

/** Reads what describes a checkpoint: config, tokenizer and the header, but no weights. */
export const inspect: Handlers["inspect"] = async ({ source, keep }, { signal }) => {
  const { location, fetch } = openSource(source, { keep });
  const checkpoint = await openCheckpoint(location, {
    signal,
    ...(fetch === undefined ? {} : { fetch }),
  });
  try {
    return await describe(checkpoint);
  } finally {
    checkpoint[Symbol.dispose]();
  }
};

async function describe(checkpoint: Checkpoint): Promise<Inspection> {
  const { config, tokenizer } = await describeCheckpoint(checkpoint);
  const { tensors } = checkpoint;
  const quantized = parseQuantization(checkpoint.config, checkpoint.configName);
  const plan = (dtype: WeightDType) =>
    planLoad(config, tensors, { dtype, prefix: stateDictPrefix(tensors), quantized });
  const { storedBytes } = plan("auto");
  const dtypes = quantized === undefined ? DTYPES : DTYPES.slice(0, 1);
  const { preprocessing, head } = config;
  const isDigits = head.kind === "classifier" && preprocessing?.kind === "image" &&
    preprocessing.step === "pixel" && preprocessing.width === 28 && preprocessing.height === 28;
  const isSound = head.kind === "classifier" && preprocessing?.kind === "audio";
  const isText = head.kind === "lm" && tokenizer !== undefined;
  const slot = isText ? "text" : isDigits ? "digit" : isSound ? "sound" : undefined;
  return {
    name: checkpoint.name,
    family: familyOf(config).family.title,
    parameters: parameterCount(config),
    storedBytes,
    weightBytes: dtypes.map((dtype) => ({ dtype, sizeBytes: plan(dtype).weightBytes })),
    stateBytes: stateBytes(config),
    slot,
    reason: slot !== undefined
      ? undefined
      : "this page uses models of text with a tokenizer.json, and classifiers of 28 x 28 pixels or of sound",
  };
}

/** The downloads that the browser keeps. */
export const listKept: Handlers["listKept"] = listKeptFiles;

/** Deletes one of them. */
export const deleteKept: Handlers["deleteKept"] = ({ url }) => deleteKeptFile(url);
