/** What a run's files are called: nothing else spells their names. */

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
