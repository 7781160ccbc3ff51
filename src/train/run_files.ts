/** What a run's files are called, and how small ones are written: nothing else spells their names. */

import { writeError } from "../io/write_error.ts";

/** The files of a run, in its folder: the model as infer.ts loads it, and under `training/` what belongs to the run. */
export const RUN_FILES = {
  /** The model's config. */
  config: "config.json",
  /** The model's tokenizer, where it has one ... */
  tokenizer: "tokenizer.json",
  /** ... and how `transformers` is to read it. */
  tokenizerConfig: "tokenizer_config.json",
  /** The model of the best evaluation. */
  model: "model.safetensors",
  /** What the run is: task, settings, data. Where it is, the folder is a run's. */
  description: "training/run.json",
  /** Where the run is gone on from. */
  resume: "training/resume.safetensors",
  /** A line for each step. */
  metrics: "training/metrics.jsonl",
  /** Their picture. */
  curve: "training/loss.svg",
  /** Who is training, while somebody is. */
  lock: "training/lock",
} as const;

/** Whether a file's name is one that is written before it is renamed: what a killed process leaves. */
export function isLeftover(name: string): boolean {
  return /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/.test(name);
}

/** Writes a file beside its place, then renames it: whatever kills the process, the old or the new one is there. */
export async function writeTextWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let written = 0; written < bytes.length;) {
        written += await file.write(bytes.subarray(written));
      }
      // A rename may reach the disk before the data does.
      await file.syncData();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw writeError(path, temporary, error);
  }
}
