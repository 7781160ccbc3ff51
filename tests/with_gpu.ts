import { assertEquals } from "@std/assert";
import { type Gpu, openGpu } from "../src/gpu/device.ts";
import "./settle_readbacks.ts";

let shared: Promise<Gpu> | undefined;

/**
 * The device that serves all tests of a file: kernels are compiled once for it, which on a software adapter takes longer
 * than most tests.
 *
 * @throws {UnsupportedDeviceError} If there is no adapter: the test fails.
 */
export async function sharedGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return await shared;
}

/**
 * The body of a test that needs the GPU. Each must free what it allocates on the shared device and leave no error behind.
 *
 * @example
 * ```ts ignore
 * Deno.test("rmsNormFwd() agrees with the oracle", withGpu(async (gpu) => { ... }));
 * ```
 */
export function withGpu(test: (gpu: Gpu) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const gpu = await sharedGpu();
    const before = { ...gpu.live };
    await test(gpu);
    gpu.check();
    assertEquals({ ...gpu.live }, before, "the test left GPU buffers behind");
  };
}
