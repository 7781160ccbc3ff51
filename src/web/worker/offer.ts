/** What this machine offers to a page. */

import { defaultThreads } from "../../cpu/machine/default_threads.ts";
import { describeAdapter } from "../../model/adapter.ts";
import type { Handlers } from "../calls.ts";

/** Limits that kernels are made for. */
const LIMITS = [
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/** Asks the browser. */
export const offer: Handlers["offer"] = async () => {
  const adapter = await globalThis.navigator.gpu?.requestAdapter() ?? undefined;
  const facts = adapter && describeAdapter(adapter);
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
  return {
    adapter: facts?.name,
    isSoftware: facts?.isSoftware ?? false,
    features: [...adapter?.features ?? []].sort(),
    limits: Object.fromEntries(
      adapter === undefined ? [] : LIMITS.map((name) => [name, adapter.limits[name] ?? 0]),
    ),
    threads: isIsolated ? defaultThreads() : 1,
    isIsolated,
  };
};
