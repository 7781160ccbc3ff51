/** What runs a model where nobody says: a real GPU, or else the CPU. */

import { describeAdapter } from "../model/adapter.ts";
import type { Backend } from "../model/executor.ts";

/** What was chosen, and why. */
export interface BackendChoice {
  /** What runs the model. */
  readonly backend: Backend;
  /** The reason, as half a sentence: "there is no GPU adapter". */
  readonly reason: string;
}

/**
 * Chooses WebGPU where an adapter is a GPU, and the CPU executor elsewhere: it is tens of times faster than a software
 * adapter on the same machine.
 *
 * @param device A device of the caller's, which decides it.
 */
export async function chooseBackend(device?: GPUDevice): Promise<BackendChoice> {
  if (device !== undefined) return { backend: "webgpu", reason: "a device is given" };
  if (globalThis.navigator?.gpu === undefined) {
    return { backend: "cpu", reason: "there is no WebGPU here" };
  }
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return { backend: "cpu", reason: "there is no GPU adapter" };
  const { name, isSoftware } = describeAdapter(adapter.info);
  return isSoftware
    ? { backend: "cpu", reason: `the only GPU adapter, ${name}, computes on the CPU` }
    : { backend: "webgpu", reason: `there is a GPU, ${name}` };
}
