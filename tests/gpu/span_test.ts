import { assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../src/gpu/readback.ts";
import { spanOf } from "../../src/gpu/span.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { sizeTogether, viewsOf } from "../../src/passes/together.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "viewsOf() lays tensors one behind the other, where views may start",
  withGpu(async (gpu) => {
    for (const sizes of [{ u: 64, dt: 64 }, { u: 5, dt: 65 }, { u: 1, dt: 128 }]) {
      using tensor = createTensor(gpu, "x", [sizeTogether(sizes)]);
      const views = viewsOf(tensor, sizes);
      const entries = Object.entries(views);
      assertEquals(entries.map(([name, { size }]) => [name, size]), Object.entries(sizes));
      entries.forEach(([, view], i) => view.write(new Float32Array(view.size).fill(i + 1)));
      const { starts } = spanOf(
        gpu,
        "test",
        { u: [views.u, sizes.u], dt: [views.dt, sizes.dt] },
      );
      const values = await readFloats(gpu, tensor);
      assertEquals(values.subarray(0, sizes.u), new Float32Array(sizes.u).fill(1));
      assertEquals(
        values.subarray(starts.dt, starts.dt + sizes.dt),
        new Float32Array(sizes.dt).fill(2),
      );
    }
  }),
);

Deno.test(
  "spanOf() is one tensor over several of one buffer; those that are absent begin at 0",
  withGpu((gpu) => {
    using tensor = createTensor(gpu, "x", [512]);
    const [weight, bias] = [tensor.view(256, [8]), tensor.view(1024, [6])];
    const both = spanOf(gpu, "test", { weight: [weight, 8], bias: [bias, 6] });
    assertEquals(both.starts, { weight: 0, bias: 192 });
    assertEquals([both.tensor.offset, both.tensor.sizeBytes], [256, 768 + 32]);
    const one = spanOf(gpu, "test", { weight: [weight, 8], bias: [undefined, 6] });
    assertEquals(one.starts, { weight: 0, bias: 0 });
    assertEquals([one.tensor.offset, one.tensor.sizeBytes], [256, 32]);
  }),
);

Deno.test(
  "spanOf() refuses tensors that are short, overlap, are out of order or lie in two buffers",
  withGpu((gpu) => {
    using tensor = createTensor(gpu, "x", [512]);
    using other = createTensor(gpu, "x", [512]);
    const u = tensor.view(256, [128]);
    assertThrows(
      () => spanOf(gpu, "scan in test", { u: [u, 129], dt: [tensor.view(1024, [8]), 8] }),
      RangeError,
      'Cannot bind "u" of scan in test: the tensor has 512 bytes, and 516 are needed',
    );
    const elsewhere = [tensor.view(0, [8]), tensor.view(512, [8]), other.view(1024, [8])];
    for (const dt of elsewhere) {
      assertThrows(
        () => spanOf(gpu, "scan in test", { u: [u, 128], dt: [dt, 8] }),
        RangeError,
        'Cannot bind "dt" of scan in test: it must lie in one buffer with what shares its binding',
      );
    }
    assertThrows(() => spanOf(gpu, "test", { u: [u, NaN] }), RangeError, "NaN are needed");
  }),
);
