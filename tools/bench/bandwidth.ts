/** The device's copy bandwidth: what every other figure is a share of. */

import type { Gpu } from "../../src/gpu/device.ts";
import { defineKernel } from "../../src/gpu/kernel.ts";
import { readBuffer } from "../../src/gpu/readback.ts";
import { Program } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import source from "./copy.wgsl" with { type: "text" };
import { randomUniform } from "./random_weights.ts";
import { warmTime } from "./warm_time.ts";

const copy = defineKernel({
  name: "copy",
  source,
  preludes: {},
  bindings: { source: "read", copied: "write" },
  params: {},
  overrides: [],
  // It copies as much as both have.
  sizes: () => ({ source: 0, copied: 0 }),
});

/**
 * Bytes a second that a large copy by a kernel moves, reads and writes counted.
 *
 * A kernel, and not copyBufferToBuffer: that moved 0.85 TB/s on an H100, where the kernel reaches what the card can.
 */
export async function copyBandwidth(gpu: Gpu): Promise<number> {
  const { maxStorageBufferBindingSize } = gpu.device.limits;
  const sizeBytes = Math.min(gpu.isSoftware ? 2 ** 26 : 2 ** 30, maxStorageBufferBindingSize);
  using from = createTensor(gpu, "source", [sizeBytes / 4]);
  using to = createTensor(gpu, "copied", [sizeBytes / 4]);
  using program = new Program(gpu);
  const sample = randomUniform(2 ** 16, 5);
  const last = sizeBytes - sample.byteLength;
  from.write(sample, last);
  const workgroups = sizeBytes / 16 / 256;
  program.add(copy, {
    tensors: { source: from, copied: to },
    overrides: {},
    params: {},
    workgroups: [Math.min(workgroups, 65535), Math.ceil(workgroups / 65535), 1],
    label: "copy",
  });
  const microseconds = await warmTime(gpu, [program]);
  const copied = new Float32Array(
    (await readBuffer(gpu, { buffer: to.buffer, offset: last }, sample.byteLength)).buffer,
  );
  if (!sample.every((value, index) => copied[index] === value)) {
    throw new Error("Cannot time the copy: it is wrong");
  }
  return 2 * sizeBytes / (microseconds / 1e6);
}
