/**
 * Streaming Mamba for Deno: one import loads a checkpoint onto the GPU that Deno finds and steps it token by token, in
 * constant time and constant memory a token.
 *
 * @example Streaming tokens
 * ```ts
 * import { loadModel } from "./mod.ts";
 *
 * using model = await loadModel("tests/golden/mamba1");
 * const tokens = await Array.fromAsync(model.generate("Hey", { maxTokens: 3, temperature: 0 }));
 * tokens.length; // 3
 * ```
 *
 * @module
 */

export { type CheckResult, runChecks, type RunChecksOptions } from "./src/checks/run_checks.ts";
export type {
  Classification,
  ClassifyOptions,
  ClassifyStreamOptions,
  StreamedClassification,
} from "./src/engine/classify.ts";
export {
  classifySounds,
  type ClassifySoundsOptions,
  type HeardSound,
} from "./src/engine/classify_sounds.ts";
export type { GeneratedToken, GenerateOptions } from "./src/engine/generate.ts";
export { loadModel, type LoadOptions } from "./src/engine/load_model.ts";
export type { LoadProgress } from "./src/engine/load_weights.ts";
export type { Model } from "./src/engine/model.ts";
export type { SamplingOptions } from "./src/engine/sampling.ts";
export type { IdStream, ScoreOptions, TokenIds, TokenScore } from "./src/engine/score.ts";
export type { FeedOptions, Inputs, PrefillOptions, Session } from "./src/engine/session.ts";
export type { SessionOptions } from "./src/engine/stream_session.ts";
export {
  decodeSnapshot,
  encodeSnapshot,
  type ModelIdentity,
  type Snapshot,
} from "./src/engine/snapshot.ts";
export type { MelLayout } from "./src/io/audio/mel_frames.ts";
export { type SoundLayout, soundToInput } from "./src/io/audio/sound_input.ts";
export { HttpError } from "./src/io/http/source.ts";
export type { DownloadProgress } from "./src/io/hub/client.ts";
export { type ImageLayout, imageToInput } from "./src/io/images/image.ts";
export { PyTorchFileError } from "./src/io/pytorch/error.ts";
export { SafetensorsError } from "./src/io/safetensors/safetensors.ts";
export { type SeriesScale, seriesToInput } from "./src/io/series_input.ts";
export type { EncodedText, EncodeStream } from "./src/io/tokenizer/encode_stream.ts";
export type { DecodeOptions, StreamOptions, TokenStream } from "./src/io/tokenizer/token_stream.ts";
export type { Tokenizer } from "./src/io/tokenizer/tokenizer.ts";
export {
  type AudioPreprocessing,
  ConfigError,
  type HeadConfig,
  type ImagePreprocessing,
  type InputConfig,
  type ModelConfig,
  type PixelPreprocessing,
  type Preprocessing,
  type SeriesPreprocessing,
} from "./src/model/config/config.ts";
export type { FloatDType, MatrixDType } from "./src/model/weights/dtype.ts";
export { DeviceLostError, UnsupportedDeviceError } from "./src/model/errors.ts";
export type { Backend, LogitsWanted, StateArray } from "./src/model/executor.ts";
export type { StepChoice } from "./src/model/step_choice.ts";
export type { WeightDType } from "./src/model/weights/load_plan.ts";
export type { Mamba1Config } from "./src/model/mixers/mamba1.ts";
export type { Mamba2Config } from "./src/model/mixers/mamba2.ts";
export type { MambaConfig } from "./src/model/mixers/mamba_fields.ts";
export type { S4Config, S4Mode } from "./src/model/mixers/s4_fields.ts";
export type { S4DConfig, S4DInit } from "./src/model/mixers/s4d.ts";
export type { QuantizedDType } from "./src/model/weights/quantize.ts";
export type { SamplerSettings } from "./src/model/sampler.ts";
export type { BatchShape, TrainingBatch } from "./src/model/training_executor.ts";
export type { Batch, Position, Source } from "./src/train/batches.ts";
export type { ExecutorOptions } from "./src/train/open_executor.ts";
export type { Schedule } from "./src/train/schedule.ts";
export type { Hyperparameters, ModelSize, Task, TaskOptions } from "./src/train/task.ts";
export { loadTask, TASK_NAMES } from "./src/train/tasks/load_task.ts";
export type { SeriesAugmentation } from "./src/train/series_augmentation.ts";
export { train, type TrainingDevice, type TrainOptions } from "./src/train/train.ts";
export type { SplitResult, TrainingStep } from "./src/train/training_step.ts";
