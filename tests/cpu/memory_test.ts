import { assertEquals, assertThrows } from "@std/assert";
import { CpuMemory } from "../../src/cpu/machine/memory.ts";
import { openCpu } from "../../src/cpu/machine/module.ts";
import { createCpuTensor } from "../../src/cpu/machine/tensor.ts";
import { Random } from "../../src/checks/random.ts";

function freshMemory(maximum = 65536): CpuMemory {
  return new CpuMemory(new WebAssembly.Memory({ initial: 1, maximum }), 100);
}

Deno.test("CpuMemory hands out zeroed blocks that do not overlap, and takes them back", () => {
  const memory = freshMemory();
  const random = new Random(1);
  const blocks = new Map<number, number>();
  for (let n = 0; n < 3000; n++) {
    const some = [...blocks][Math.floor(random.next() * blocks.size)];
    if (some !== undefined && random.next() < 0.48) {
      memory.free(some[0]);
      blocks.delete(some[0]);
      continue;
    }
    const size = Math.ceil(random.next() * 5000);
    const address = memory.allocate("block", size);
    assertEquals(address % 64, 0);
    const bytes = memory.bytes(address, size);
    assertEquals(bytes.findIndex((byte) => byte !== 0), -1, "zeroed, and nobody else's");
    bytes.fill(255);
    blocks.set(address, size);
  }
  const end = memory.memory.buffer.byteLength;
  for (const address of blocks.keys()) memory.free(address);
  assertEquals(memory.live, { sizeBytes: 0, count: 0 });
  // All that was freed is one range again.
  memory.allocate("all", end - 128 - 65536);
  assertEquals(memory.memory.buffer.byteLength, end);
});

Deno.test("CpuMemory refuses what addresses do not reach, and says what it was for", () => {
  const memory = freshMemory();
  assertThrows(
    () => memory.allocate("lm_head [2, 3]", 2 ** 32),
    RangeError,
    "Cannot allocate lm_head [2, 3]: 4294967424 bytes in all, and the CPU executor reaches 4294901760",
  );
  assertThrows(
    () => freshMemory(2).allocate("x", 2 ** 20),
    RangeError,
    "and the system gives no more",
  );
  assertThrows(() => memory.free(4), RangeError, "Cannot free 4: nothing lives there");
});

Deno.test("CpuTensor writes, reads and shares ranges, and refuses what lies outside", async () => {
  using cpu = await openCpu();
  const before = cpu.memory.live.sizeBytes;
  {
    using tensor = createCpuTensor(cpu, "t", [2, 3]);
    assertEquals([tensor.size, tensor.sizeBytes], [6, 24]);
    assertEquals([...tensor.read()], [0, 0, 0, 0, 0, 0]);
    using view = tensor.view(4, [2, 2]);
    view.write(new Float32Array([1, 2, 3]), 4);
    assertEquals([...tensor.read()], [0, 0, 1, 2, 3, 0]);
    assertThrows(() => tensor.view(12, [4]), RangeError, "Cannot view bytes 12 to 28 of a tensor");
    assertThrows(
      () => view.write(new Float32Array(4), 4),
      RangeError,
      "Cannot write 16 bytes at 4 of a tensor of 16 bytes",
    );
  }
  assertEquals(cpu.memory.live.sizeBytes, before);
});
