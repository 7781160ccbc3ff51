/** What runs a model where nobody says: a real GPU, or else the CPU. */

import { describeAdapter } from "./adapter.ts";
import type { Backend } from "./executor.ts";

/** What was chosen, and why. */
export interface BackendChoice {
  /** What runs the model. */
  readonly backend: Backend;
  /** The reason, as it follows "..., as". */
  readonly reason: string;
}

/** What of `navigator.gpu` is asked. */
export type AdapterSource = Pick<GPU, "requestAdapter">;

/**
 * Chooses WebGPU where an adapter is a GPU, and the CPU executor elsewhere: it is tens of times faster than a software
 * adapter on the same machine.
 *
 * A small model may be faster on the CPU beside a GPU, too; that is the caller's to know.
 */
export async function chooseBackend(
  gpu: AdapterSource | undefined = globalThis.navigator?.gpu,
): Promise<BackendChoice> {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return { backend: "cpu", reason: "there is no GPU" };
  const { name, isSoftware } = describeAdapter(adapter);
  return isSoftware
    ? { backend: "cpu", reason: `${name} is no GPU, and slower` }
    : { backend: "webgpu", reason: "there is a GPU" };
}
