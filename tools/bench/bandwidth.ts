/** The device's copy bandwidth: what every other figure is a share of. */

import type { Gpu } from "../../src/gpu/device.ts";
import { readBuffer } from "../../src/gpu/readback.ts";

/**
 * Bytes a second that a large copy on the device moves, reads and writes counted: the best of five.
 *
 * Timed from submit until the GPU is idle over several copies in one submit, since copies cannot be timed in a pass.
 */
export async function copyBandwidth(gpu: Gpu): Promise<number> {
  const size = Math.min(gpu.isSoftware ? 2 ** 26 : 2 ** 30, gpu.device.limits.maxBufferSize);
  const repeats = gpu.isSoftware ? 4 : 50;
  const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const from = gpu.device.createBuffer({ size, usage });
  const to = gpu.device.createBuffer({ size, usage });
  const run = async (copies: number): Promise<number> => {
    const encoder = gpu.device.createCommandEncoder();
    for (let copy = 0; copy < copies; copy++) encoder.copyBufferToBuffer(from, 0, to, 0, size);
    const start = performance.now();
    gpu.device.queue.submit([encoder.finish()]);
    await readBuffer(gpu, { buffer: to, offset: 0 }, 4);
    return performance.now() - start;
  };
  await run(1);
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    // The wait itself (10 ms or more) is the same in both, and drops out.
    best = Math.min(best, await run(repeats + 1) - await run(1));
  }
  from.destroy();
  to.destroy();
  return 2 * size * repeats / (Math.max(best, 1e-3) / 1000);
}
