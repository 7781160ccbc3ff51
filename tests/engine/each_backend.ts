import { loadModel, type LoadOptions, type Model } from "../../mod.ts";
import "../settle_readbacks.ts";

/** The executors that the engine's tests run over. */
export const BACKENDS = ["webgpu", "cpu"] as const;

/** loadModel() for one executor. */
export type Load = (source: string, options?: LoadOptions) => Promise<Model>;

/**
 * Registers a test for each executor: what holds for one holds for all.
 *
 * @param test Takes a loadModel() that loads for the executor.
 */
export function eachBackend(name: string, test: (loadModel: Load) => Promise<void>): void {
  for (const backend of BACKENDS) {
    Deno.test(
      `${name}, on ${backend}`,
      () => test((source, options) => loadModel(source, { backend, ...options })),
    );
  }
}
