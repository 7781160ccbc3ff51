/** What executors throw that callers tell apart. */

/**
 * No adapter, or one that lacks what is needed. Another machine or driver may help; retrying will not.
 *
 * @example A GPU where there is one, or else the CPU
 * ```ts
 * import { loadModel, UnsupportedDeviceError } from "../../mod.ts";
 *
 * const source = "tests/golden/mamba1";
 * using model = await loadModel(source, { backend: "webgpu" }).catch((error) => {
 *   if (error instanceof UnsupportedDeviceError) return loadModel(source, { backend: "cpu" });
 *   throw error;
 * });
 * console.log(model.device);
 * ```
 */
export class UnsupportedDeviceError extends Error {
  /** The class's name. */
  override name = "UnsupportedDeviceError";
}

/**
 * The device went away (driver reset, unplugged, out of memory). Everything on it is gone: load the model again.
 *
 * @example Going on after a loss, from the last snapshot
 * ```ts
 * import { DeviceLostError, loadModel, type Snapshot } from "../../mod.ts";
 *
 * const source = "tests/golden/mamba1";
 * let snapshot: Snapshot | undefined;
 * for (let attempt = 0; attempt < 2; attempt++) {
 *   try {
 *     using model = await loadModel(source);
 *     using session = model.createSession();
 *     if (snapshot !== undefined) session.restore(snapshot);
 *     await session.step(1);
 *     snapshot = await session.snapshot();
 *     break;
 *   } catch (error) {
 *     if (!(error instanceof DeviceLostError)) throw error;
 *   }
 * }
 * ```
 */
export class DeviceLostError extends Error {
  /** The class's name. */
  override name = "DeviceLostError";
}
