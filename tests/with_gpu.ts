import { assertEquals } from "@std/assert";
import { type Gpu, openGpu } from "../src/gpu/device.ts";
import "./settle_readbacks.ts";

let shared: Promise<Gpu> | undefined;

/**
 * The body of a test that needs the GPU. One device serves all tests of a file; each must free what it
 * allocates and leave no error behind. Without an adapter the test fails.
 *
 * @example
 * ```ts ignore
 * Deno.test("rmsNormFwd() agrees with the oracle", withGpu(async (gpu) => { ... }));
 * ```
 */
export function withGpu(test: (gpu: Gpu) => void | Promise<void>): () => Promise<void> {
  return async () => {
    shared ??= openGpu();
    const gpu = await shared;
    const before = { ...gpu.live };
    await test(gpu);
    gpu.check();
    assertEquals({ ...gpu.live }, before, "the test left GPU buffers behind");
  };
}
