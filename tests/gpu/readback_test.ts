import { assertEquals } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { readBuffer, readFloats, Staging } from "../../src/gpu/readback.ts";
import { encode } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { withGpu } from "../with_gpu.ts";

function copyTo(gpu: Gpu, from: Tensor, { buffer }: Staging): void {
  const copy = { from, to: { buffer, offset: 0 }, sizeBytes: from.sizeBytes };
  gpu.device.queue.submit([encode(gpu, [], { after: [copy] })]);
}

Deno.test(
  "Staging.read() gives the same bytes at once and through the promise, again and again",
  withGpu(async (gpu) => {
    using tensor = createTensor(gpu, "x", [300]);
    using staging = await Staging.create(gpu, tensor.sizeBytes);
    for (let round = 0; round < 6; round++) {
      const written = Float32Array.from({ length: 300 }, (_, i) => i + round);
      tensor.write(written);
      copyTo(gpu, tensor, staging);
      const wait = round % 2 === 0 ? "blocking" : "promise";
      const bytes = await staging.read(tensor.sizeBytes, wait);
      assertEquals(new Float32Array(bytes.buffer), written, `round ${round}, ${wait}`);
    }
  }),
);

Deno.test(
  "Staging.read() returns copies of the first bytes, also where 4 does not divide their number",
  withGpu(async (gpu) => {
    using tensor = createTensor(gpu, "x", [8]);
    tensor.write(Uint8Array.from({ length: 32 }, (_, i) => i + 1));
    using staging = await Staging.create(gpu, tensor.sizeBytes);
    copyTo(gpu, tensor, staging);
    const results: Uint8Array[] = [];
    for (const size of [1, 2, 3, 4, 5, 31, 32]) {
      for (const wait of ["blocking", "promise"] as const) {
        results.push(await staging.read(size, wait));
      }
    }
    for (const bytes of results) {
      assertEquals(bytes, Uint8Array.from({ length: bytes.length }, (_, i) => i + 1));
    }
    assertEquals(results.map(({ length }) => length).join(), "1,1,2,2,3,3,4,4,5,5,31,31,32,32");
  }),
);

Deno.test(
  "readBuffer() reads from an offset and frees what it staged",
  withGpu(async (gpu) => {
    using tensor = createTensor(gpu, "x", [128]);
    tensor.write(Float32Array.from({ length: 128 }, (_, i) => i));
    const before = { ...gpu.live };
    for (let i = 0; i < 5; i++) {
      const bytes = await readBuffer(gpu, tensor.view(256, [5]), 18);
      assertEquals([...new Float32Array(bytes.buffer, 0, 4)], [64, 65, 66, 67]);
      assertEquals(bytes.length, 18);
    }
    assertEquals({ ...gpu.live }, before);
  }),
);

Deno.test(
  "readFloats() reads the shape's elements alone",
  withGpu(async (gpu) => {
    using tensor = createTensor(gpu, "x", [3, 2]);
    tensor.write(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    assertEquals([...await readFloats(gpu, tensor)], [1, 2, 3, 4, 5, 6]);
  }),
);

Deno.test(
  "Staging counts once, however often it is disposed",
  withGpu(async (gpu) => {
    const before = gpu.live.sizeBytes;
    const staging = await Staging.create(gpu, 5);
    assertEquals(gpu.live.sizeBytes, before + 8);
    staging[Symbol.dispose]();
    staging[Symbol.dispose]();
    assertEquals(gpu.live.sizeBytes, before);
  }),
);
