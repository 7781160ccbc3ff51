/** A small model of the reader's own text, trained in the page. */

import type { ModelSize } from "../../train/task.ts";
import { COMMON } from "../../train/task.ts";
import { languageTask } from "../../train/tasks/text.ts";
import { train } from "../../train/train.ts";
import type { Handlers } from "../calls.ts";
import { zipFolder } from "./zip_folder.ts";

/** Small enough for a phone, and large enough for words. */
const SIZE: ModelSize = { d_model: 64, n_layer: 2, d_state: 8, d_conv: 4, expand: 2 };

/** What it is trained with, but for the number of steps. */
const SETTINGS = {
  ...COMMON,
  ...{ batchSize: 16, seqlen: 64, warmupSteps: 20, evaluateEvery: 50 },
  ...{ learningRate: 4e-3, minimumLearningRate: 4e-4 },
};

/** Trains, tells of every step, and gives the files of the best model, alone and as a zip. */
export const trainText: Handlers["trainText"] = async (
  { text, steps, seed, backend },
  { signal, emit },
) => {
  const preset = { name: "page", size: SIZE, settings: { ...SETTINGS, steps } };
  const task = await languageTask({ name: "text", text, preset }, {
    hyperparameters: { seed, steps, evaluateEvery: Math.min(steps, SETTINGS.evaluateEvery) },
  });
  let best: ReadonlyMap<string, Uint8Array<ArrayBuffer>> | undefined;
  const run = train(task, {
    backend,
    signal,
    onModel: (files) => best = files,
    onDevice: ({ device }) => emit({ device, summary: task.summary }),
  });
  for await (const { step, loss, stepMs, tokensPerStep, validation } of run) {
    emit({
      step,
      loss,
      tokensPerSecond: tokensPerStep / stepMs * 1000,
      validation: validation?.loss,
    });
  }
  if (best === undefined) {
    throw new Error("Cannot keep the model: it was stopped before its first evaluation");
  }
  const files = [...best].map(([name, bytes]) => new File([bytes], name));
  return { files, zip: zipFolder("my-text", best) };
};
