import { assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../src/gpu/readback.ts";
import { createTensor, OFFSET_ALIGNMENT } from "../../src/gpu/tensor.ts";
import { elementCount, roundUp } from "../../src/model/shapes.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "createTensor() gives zeros, in a range that vec4 can read",
  withGpu(async (gpu) => {
    for (
      const [shape, sizeBytes] of [[[1], 16], [[4], 16], [[5], 32], [[3, 3], 48], [
        [0],
        16,
      ]] as const
    ) {
      using tensor = createTensor(gpu, "x", shape);
      assertEquals(tensor.sizeBytes, sizeBytes);
      const values = await readFloats(gpu, tensor);
      assertEquals(values, new Float32Array(elementCount(shape)));
    }
  }),
);

Deno.test(
  "createTensor() refuses what one buffer cannot hold",
  withGpu((gpu) => {
    const most = gpu.device.limits.maxBufferSize;
    const elements = Math.floor(most / 4) + 4;
    assertThrows(
      () => createTensor(gpu, "embedding", [elements, 1]),
      RangeError,
      `Cannot allocate embedding [${elements}, 1]: ${roundUp(elements * 4, 16)} bytes in one ` +
        `buffer, and this device allows ${most}`,
    );
  }),
);

Deno.test(
  "Tensor.view() shares the buffer, counts nothing and frees nothing",
  withGpu(async (gpu) => {
    using whole = createTensor(gpu, "x", [192]);
    whole.write(Float32Array.from({ length: 192 }, (_, i) => i));
    const before = { ...gpu.live };
    const view = whole.view(OFFSET_ALIGNMENT, [100]);
    const inner = view.view(OFFSET_ALIGNMENT, [1, 3]);
    assertEquals([...await readFloats(gpu, inner)], [128, 129, 130]);
    inner.write(Float32Array.of(-1));
    assertEquals((await readFloats(gpu, whole))[128], -1);
    inner[Symbol.dispose]();
    view[Symbol.dispose]();
    assertEquals({ ...gpu.live }, before);
    assertEquals((await readFloats(gpu, whole))[191], 191);
  }),
);

Deno.test(
  "Tensor.view() refuses unaligned starts and what lies outside",
  withGpu((gpu) => {
    using tensor = createTensor(gpu, "x", [100]);
    assertThrows(() => tensor.view(16, [1]), RangeError, "Cannot view bytes 16 to 32");
    assertThrows(() => tensor.view(256, [37]), RangeError, "a tensor of 400 bytes");
    assertThrows(() => tensor.view(512, [1]), RangeError, "Cannot view bytes 512 to 528");
  }),
);

Deno.test(
  "Tensor.write() writes at an offset, and refuses what does not fit",
  withGpu(async (gpu) => {
    using tensor = createTensor(gpu, "x", [6]);
    const source = Float32Array.of(9, 1, 2, 9);
    tensor.write(source.subarray(1, 3), 8);
    assertEquals([...await readFloats(gpu, tensor)], [0, 0, 1, 2, 0, 0]);
    assertThrows(
      () => tensor.write(new Float32Array(7), 8),
      RangeError,
      "Cannot write 28 bytes at 8 of a tensor of 32 bytes",
    );
  }),
);

Deno.test(
  "Tensor counts its bytes while it lives, once",
  withGpu((gpu) => {
    const before = { ...gpu.live };
    const tensor = createTensor(gpu, "x", [5]);
    assertEquals({ ...gpu.live }, { sizeBytes: before.sizeBytes + 32, count: before.count + 1 });
    tensor[Symbol.dispose]();
    tensor[Symbol.dispose]();
    assertEquals({ ...gpu.live }, before);
  }),
);
