/** The GPU device: how it is found, what it is called, what it allows, and how its failures surface. */

import { DeviceLostError, UnsupportedDeviceError } from "../model/errors.ts";
import { type AdapterFacts, describeAdapter } from "../model/adapter.ts";
import { describeNoAdapter, surroundings } from "./no_adapter.ts";

/** A part of the GPU's memory that kernels bind: see `tensor.ts`. */
interface LiveBuffers {
  sizeBytes: number;
  count: number;
}

/** Of each device: a model that is loaded onto a caller's device again does not compile its kernels again. */
const PIPELINES = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

/**
 * One WebGPU device with what this project needs to know of it.
 *
 * Validation errors are asynchronous in WebGPU and a bad call silently turns later work into nothing, so the first
 * one is kept here and {@linkcode Gpu.check} throws it: every readback calls that before it hands out numbers.
 */
export class Gpu implements Disposable {
  /** The device itself. */
  readonly device: GPUDevice;
  /** What the adapter calls itself. */
  readonly name: string;
  /** Whether the adapter computes on the CPU (llvmpipe, SwiftShader, WARP): right, and slow. */
  readonly isSoftware: boolean;
  /** What is worth saying of it after its name; undefined for nothing. */
  readonly note: string | undefined;
  /** Whether passes can be timed. */
  readonly hasTimestamps: boolean;
  /** Compiled pipelines by kernel and override values, the same for all that share the device. Owned by `kernel.ts`. */
  readonly pipelines: Map<string, GPUComputePipeline>;
  /** Bytes and number of the buffers that are alive now. */
  readonly live: LiveBuffers = { sizeBytes: 0, count: 0 };
  #ownsDevice: boolean;
  #failure: Error | undefined;
  /** Ends with this object, which a listener would else keep for as long as the caller's device lives. */
  #disposed = new AbortController();

  /** Wraps a device; `ownsDevice` says whether disposing destroys it. */
  constructor(device: GPUDevice, adapter: AdapterFacts, ownsDevice: boolean) {
    this.device = device;
    this.name = adapter.name;
    this.isSoftware = adapter.isSoftware;
    this.note = noteOf(adapter);
    this.hasTimestamps = device.features.has("timestamp-query");
    this.#ownsDevice = ownsDevice;
    this.pipelines = PIPELINES.get(device) ?? new Map();
    PIPELINES.set(device, this.pipelines);
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const { error } = event as GPUUncapturedErrorEvent;
      this.fail(new Error(`Cannot continue on ${this.name}: ${error.message}`));
    }, { signal: this.#disposed.signal });
    device.lost.then((loss) => {
      if (this.#disposed.signal.aborted) return;
      this.fail(
        new DeviceLostError(
          `Cannot continue on ${this.name}: the device was lost (${loss.reason || "unknown"}): ` +
            `${loss.message}. Load the model again`,
        ),
      );
    });
  }

  /**
   * Makes WebGPU calls whose refusal {@linkcode Gpu.check} knows at the next readback. Without a scope of their own it
   * is an event, which comes a task later: after a readback that had nothing to wait for.
   */
  watch<T>(calls: () => T): T {
    this.device.pushErrorScope("validation");
    try {
      return calls();
    } finally {
      this.device.popErrorScope().then((error) => {
        if (error === null) return;
        this.fail(new Error(`Cannot continue on ${this.name}: ${error.message}`));
      }, () => {/* The device is gone; device.lost reports that. */});
    }
  }

  /** Keeps the first failure for {@linkcode Gpu.check}. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /**
   * Throws the first failure that the device has reported.
   *
   * @throws {DeviceLostError} If the device is gone.
   * @throws {Error} If a WebGPU call was refused.
   */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Destroys the device, unless it was the caller's own. */
  [Symbol.dispose](): void {
    this.#disposed.abort();
    if (!this.#ownsDevice) return;
    this.pipelines.clear();
    this.device.destroy();
  }
}

function noteOf({ isSoftware, isOpenGl }: AdapterFacts): string | undefined {
  const notes = [
    ...(isSoftware ? ["a software adapter: right, and slow"] : []),
    ...(isOpenGl
      ? ["Vulkan is far faster: install a driver for it (on Linux, mesa-vulkan-drivers)"]
      : []),
  ];
  return notes.length === 0 ? undefined : notes.join("; ");
}

/**
 * Finds the adapter that a device is opened on.
 *
 * @throws {UnsupportedDeviceError} If there is none.
 */
export async function findAdapter(): Promise<GPUAdapter> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new UnsupportedDeviceError(describeNoAdapter(surroundings()));
  return adapter;
}

/**
 * Finds an adapter and opens a device with all that this adapter allows.
 *
 * The default limits would refuse models that fit easily: 128 MiB a binding is less than the embedding of mamba-130m.
 *
 * @param device A device of the caller's to use instead; it is not destroyed with the result.
 * @throws {UnsupportedDeviceError} If there is no adapter.
 */
export async function openGpu(device?: GPUDevice): Promise<Gpu> {
  if (device !== undefined) {
    return new Gpu(device, describeAdapter({ info: device.adapterInfo }), false);
  }
  const adapter = await findAdapter();
  const wanted: GPUFeatureName[] = ["timestamp-query", "shader-f16"];
  const opened = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxBufferSize: adapter.limits.maxBufferSize,
      maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize,
      maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: adapter.limits.maxComputeWorkgroupSizeX,
      maxComputeWorkgroupSizeY: adapter.limits.maxComputeWorkgroupSizeY,
    },
  });
  return new Gpu(opened, describeAdapter(adapter), true);
}
