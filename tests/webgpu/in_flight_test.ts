import { assertEquals } from "@std/assert";
import { encode } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { InFlight, MAX_IN_FLIGHT } from "../../src/webgpu/in_flight.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "InFlight gives results in order, whatever their sizes and number",
  withGpu(async (gpu) => {
    using small = createTensor(gpu, "small", [3]);
    using large = createTensor(gpu, "large", [100]);
    using inFlight = new InFlight(gpu);
    assertEquals(await inFlight.take(), []);
    const put = async (tensors: readonly Tensor[], value: number) => {
      const after = await inFlight.add(tensors);
      for (const tensor of tensors) tensor.write(new Float32Array(tensor.size).fill(value));
      gpu.device.queue.submit([encode(gpu, [], { after })]);
      return tensors.map(({ size }) => new Float32Array(size).fill(value));
    };
    for (let round = 0; round < 2; round++) {
      const expected: Float32Array[][] = [];
      for (let value = 1; value <= MAX_IN_FLIGHT + 2; value++) {
        expected.push(await put([small], value));
      }
      expected.push(await put([large, small], -1), await put([small], -2));
      assertEquals(await inFlight.take(), expected);
    }
    assertEquals(await inFlight.take(), []);
  }),
);
