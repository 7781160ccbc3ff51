import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { readFloats } from "../../src/gpu/readback.ts";
import { encode, profile, Program, submit, submitEarly, timePass } from "../../src/gpu/program.ts";
import { createTensor, type Tensor } from "../../src/gpu/tensor.ts";
import { withGpu } from "../with_gpu.ts";
import { scaleKernel } from "./probe_kernel.ts";

function addScale(program: Program, x: Tensor, y: Tensor, factor: number, label = "scale"): void {
  program.add(scaleKernel, {
    tensors: { x, y },
    overrides: { OFFSET: 1 },
    params: { factor, count: 4 },
    workgroups: [1, 1, 1],
    label,
  });
}

function createPair(gpu: Gpu): [Tensor, Tensor] {
  const pair: [Tensor, Tensor] = [createTensor(gpu, "a", [4]), createTensor(gpu, "b", [4])];
  pair[0].write(Float32Array.of(1, 2, 3, 4));
  return pair;
}

Deno.test(
  "Program runs its dispatches in order, as often as it is encoded",
  withGpu(async (gpu) => {
    using program = new Program(gpu);
    const [a, b] = createPair(gpu);
    addScale(program, a, b, 2, "first");
    addScale(program, b, a, 3, "second");
    assertEquals(program.length, 2);
    assertEquals(program.labels, ["first", "second"]);
    submit(gpu, [program]);
    assertEquals([...await readFloats(gpu, b)], [3, 5, 7, 9]);
    assertEquals([...await readFloats(gpu, a)], [10, 16, 22, 28]);
    gpu.device.queue.submit([encode(gpu, [program, program])]);
    assertEquals([...await readFloats(gpu, a)], [388, 604, 820, 1036]);
    assertEquals(program.labels, ["first", "second"]);
    for (const tensor of [a, b]) tensor[Symbol.dispose]();
  }),
);

Deno.test(
  "Program keeps equal params once and allocates nothing when it is encoded again",
  withGpu((gpu) => {
    using program = new Program(gpu);
    const [a, b] = createPair(gpu);
    for (const factor of [2, 3, 2, 2, 3]) addScale(program, a, b, factor);
    const before = { ...gpu.live };
    submit(gpu, [program]);
    const after = { ...gpu.live };
    assertEquals(after, { sizeBytes: before.sizeBytes + 2 * 256, count: before.count + 1 });
    submit(gpu, [program]);
    assertEquals({ ...gpu.live }, after);
    for (const tensor of [a, b]) tensor[Symbol.dispose]();
  }),
);

Deno.test(
  "submitEarly() runs a long program in order, between its copies, as one of few dispatches",
  withGpu(async (gpu) => {
    for (const count of [2, 128, 400]) {
      using program = new Program(gpu);
      const [a, b] = createPair(gpu);
      for (let done = 0; done < count; done += 2) {
        addScale(program, a, b, 1);
        addScale(program, b, a, 1);
      }
      using from = createTensor(gpu, "from", [4]);
      using to = createTensor(gpu, "to", [4]);
      from.write(Float32Array.of(10, 20, 30, 40));
      submitEarly(gpu, program, {
        before: [{ from, to: a, sizeBytes: 16 }],
        after: [{ from: a, to, sizeBytes: 16 }],
      });
      assertEquals([...await readFloats(gpu, to)], [10, 20, 30, 40].map((value) => value + count));
      for (const tensor of [a, b]) tensor[Symbol.dispose]();
    }
  }),
);

Deno.test(
  "Program refuses dispatches once it is in use",
  withGpu((gpu) => {
    using program = new Program(gpu);
    const [a, b] = createPair(gpu);
    addScale(program, a, b, 2);
    submit(gpu, [program]);
    assertThrows(() => addScale(program, a, b, 2, "late"), Error, "Cannot add late");
    for (const tensor of [a, b]) tensor[Symbol.dispose]();
  }),
);

Deno.test(
  "encode() copies before and after the programs",
  withGpu(async (gpu) => {
    using program = new Program(gpu);
    using source = createTensor(gpu, "source", [4]);
    using result = createTensor(gpu, "result", [4]);
    source.write(Float32Array.of(5, 6, 7, 8));
    const [a, b] = createPair(gpu);
    addScale(program, a, b, 10);
    const sizeBytes = 8;
    const commands = encode(gpu, [program], {
      before: [{ from: source, to: a, sizeBytes }],
      after: [{ from: b, to: result, sizeBytes }],
    });
    gpu.device.queue.submit([commands]);
    assertEquals([...await readFloats(gpu, result)], [51, 61, 0, 0]);
    for (const tensor of [a, b]) tensor[Symbol.dispose]();
  }),
);

Deno.test(
  "profile() and timePass() time dispatches where the device can, and say so where it cannot",
  withGpu(async (gpu) => {
    using program = new Program(gpu);
    const [a, b] = createPair(gpu);
    addScale(program, a, b, 2, "first");
    addScale(program, b, a, 2, "second");
    if (gpu.hasTimestamps) {
      const times = await profile(gpu, program);
      assertEquals(times.map(({ label }) => label), ["first", "second"]);
      assert(times.every(({ microseconds }) => microseconds >= 0));
      assert(await timePass(gpu, [program]) >= 0);
    }
    const without = Object.create(gpu, { hasTimestamps: { value: false } });
    const error = await timePass(without, [program]).catch((error) => error);
    assertEquals(error.message, `Cannot time kernels: ${gpu.name} has no timestamp-query`);
    for (const tensor of [a, b]) tensor[Symbol.dispose]();
  }),
);
