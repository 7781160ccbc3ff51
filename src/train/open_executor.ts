/** What a run trains on: the one place of training that knows which executors there are. */

import { chooseBackend } from "../model/choose_backend.ts";
import type { ModelConfig } from "../model/config/config.ts";
import type { Backend } from "../model/executor.ts";
import type { TrainingExecutor, TrainingSettings } from "../model/training_executor.ts";
import { SettingError } from "./setting_error.ts";

/** What says where a model is trained. */
export interface ExecutorOptions {
  /**
   * What trains the model: "auto" takes WebGPU where there is a real GPU, and the CPU elsewhere. A run that goes on may
   * go on with another; from there on its bits are others.
   *
   * @default {"auto"}
   */
  readonly backend?: Backend | "auto" | undefined;
  /**
   * Threads that work on the CPU, this one among them. Results do not depend on it.
   *
   * @default {one a core, up to 8}
   */
  readonly threads?: number | undefined;
  /** A device of yours to train on; it is not destroyed. It makes "auto" take WebGPU. */
  readonly device?: GPUDevice | undefined;
}

/** An executor, and what there is to know of it. */
export interface OpenedExecutor {
  readonly executor: TrainingExecutor;
  /** What it is, or why it is this one, as it follows the device's name; undefined where there is nothing to say. */
  readonly note: string | undefined;
  /** That a run that goes on has other bits on it; undefined where it has the same. */
  readonly warning: string | undefined;
}

const NAMES: Readonly<Record<Backend, string>> = { webgpu: "WebGPU", cpu: "the CPU" };

/**
 * Opens what trains a model of this config.
 *
 * @param before What the run was trained on that goes on: "auto" takes the same again, where it is there.
 * @throws {TypeError} If there is no such backend, or it cannot train a part of the model.
 * @throws {RangeError} If the number of threads is not one, or the model does not fit.
 * @throws {UnsupportedDeviceError} If WebGPU is asked for and there is no GPU adapter.
 */
export async function openExecutor(
  config: ModelConfig,
  settings: TrainingSettings,
  options: ExecutorOptions,
  before?: Backend,
): Promise<OpenedExecutor> {
  const { threads } = options;
  if (threads !== undefined && (!Number.isSafeInteger(threads) || threads < 1)) {
    throw new SettingError(
      `Cannot train: threads is ${threads}, and it must be a whole number from 1`,
    );
  }
  const { backend, reason } = await choose(options, before);
  const executor = await openAs(backend, config, settings, options);
  return {
    executor,
    note: reason === undefined ? executor.deviceNote : `as ${reason}`,
    warning: before === undefined || before === backend
      ? undefined
      : `the run was trained on ${
        NAMES[before]
      } before: from here on its bits are others than they would be there`,
  };
}

/**
 * Refuses a backend that is not here: what is told early need not wait for data to be read, or downloaded.
 *
 * @throws {UnsupportedDeviceError} If WebGPU is asked for and there is no GPU adapter.
 */
export async function requireBackend({ backend, device }: ExecutorOptions): Promise<void> {
  if (backend !== "webgpu" || device !== undefined) return;
  const { requireAdapter } = await import("../webgpu/training_executor.ts");
  await requireAdapter();
}

async function openAs(
  backend: Backend,
  config: ModelConfig,
  settings: TrainingSettings,
  { threads, device }: ExecutorOptions,
): Promise<TrainingExecutor> {
  switch (backend) {
    case "webgpu": {
      const { openTraining } = await import("../webgpu/training_executor.ts");
      return await openTraining(config, settings, device);
    }
    case "cpu": {
      const { openTraining } = await import("../cpu/training_executor.ts");
      return await openTraining(config, settings, threads);
    }
    default:
      throw new TypeError(
        `Cannot train: backend is "${backend satisfies never}", expected auto, webgpu or cpu`,
      );
  }
}

/** What would train a new run. */
export async function trainingBackend(options: ExecutorOptions): Promise<Backend> {
  return (await choose(options, undefined)).backend;
}

async function choose(
  { backend = "auto", device }: ExecutorOptions,
  before: Backend | undefined,
): Promise<{ backend: Backend; reason?: string }> {
  if (backend !== "auto") return { backend };
  if (device !== undefined) return { backend: "webgpu" };
  if (before === "cpu") return { backend: before };
  const chosen = await chooseBackend();
  if (chosen.backend === "webgpu") return { backend: "webgpu" };
  // A software adapter is slow, and has the bits that the run began with.
  const hasAdapter = before === "webgpu" && await navigator.gpu?.requestAdapter();
  return hasAdapter ? { backend: "webgpu" } : chosen;
}
