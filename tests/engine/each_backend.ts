import { loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { sharedGpu } from "../with_gpu.ts";

/** The executors that the engine's tests run over. */
export const BACKENDS = ["webgpu", "cpu"] as const;

/** loadModel() for one executor. */
export type Load = (source: string, options?: LoadOptions) => Promise<Model>;

/** loadModel() for an executor: on WebGPU onto the shared device, where the options name no other. */
export async function loadOn(
  backend: (typeof BACKENDS)[number],
  source: string,
  options?: LoadOptions,
): Promise<Model> {
  const device = backend === "webgpu" ? (await sharedGpu()).device : undefined;
  return await loadModel(source, { backend, device, ...options });
}

/**
 * Registers a test for each executor: what holds for one holds for all.
 *
 * @param test Takes a loadModel() that loads for the executor: see {@linkcode loadOn}.
 */
export function eachBackend(name: string, test: (loadModel: Load) => Promise<void>): void {
  for (const backend of BACKENDS) {
    Deno.test(
      `${name}, on ${backend}`,
      () => test((source, options) => loadOn(backend, source, options)),
    );
  }
}
