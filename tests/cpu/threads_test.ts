import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SCRATCH } from "../../src/cpu/machine/control.ts";
import { MODULE } from "../../kernels/cpu/relaxed_threads.ts";
import { Cpu, openCpu } from "../../src/cpu/machine/module.ts";
import { startWebWorker } from "../../src/cpu/machine/worker.ts";
import { threadedProduct } from "./threaded_product.ts";

/** Bytes of the largest op's scratch that a thread has written: none before it has helped. */
function scratchWritten(cpu: Cpu, thread: number): number {
  const { buffer } = cpu.memory.memory;
  const address = new DataView(buffer).getUint32(SCRATCH + 4 * thread, true);
  return cpu.memory.bytes(address, 1024).findLastIndex((byte) => byte !== 0) + 1;
}

async function eventLoopTurns(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("Cpu.run() gives the same bits on any number of threads", async () => {
  using cpu = await openCpu({ threads: 3 });
  using product = threadedProduct(cpu);
  cpu.setThreads(1);
  const expected = product.run();
  assert(expected.every(Number.isFinite));
  // Until both workers have been there: they start when the event loop turns.
  const start = performance.now();
  let runs = 0;
  while (runs < 100 || scratchWritten(cpu, 1) === 0 || scratchWritten(cpu, 2) === 0) {
    assert(performance.now() - start < 30_000, "the workers never helped");
    cpu.setThreads(runs++ % 3 + 1);
    assertEquals(product.run(), expected);
    if (runs % 8 === 0) await eventLoopTurns();
  }
});

Deno.test("Cpu.run() is helped by workers of the web, where there are no others", async () => {
  const module = await WebAssembly.compile(Uint8Array.fromBase64(MODULE));
  using cpu = new Cpu("relaxed_threads", module, 2, startWebWorker);
  using product = threadedProduct(cpu);
  const expected = product.run();
  const start = performance.now();
  while (scratchWritten(cpu, 1) === 0) {
    assert(performance.now() - start < 30_000, "the worker never helped");
    assertEquals(product.run(), expected);
    await eventLoopTurns();
  }
});

Deno.test("Cpu.run() gives the same bits by every build that has relaxed SIMD", async () => {
  const results: Float32Array[] = [];
  for (const build of ["relaxed_threads", "relaxed"] as const) {
    using cpu = await openCpu({ build });
    using product = threadedProduct(cpu);
    results.push(product.run());
  }
  assertEquals(results[0], results[1]);
});

Deno.test("Cpu.run() does not wait for workers that have not come so far", async () => {
  using cpu = await openCpu({ threads: 8 });
  using product = threadedProduct(cpu);
  // No turn of the event loop in between: none of the seven can have started.
  assert(product.run().every(Number.isFinite));
});

Deno.test("Cpu leaves no worker behind, however early it is disposed", async () => {
  for (const runs of [0, 1, 20]) {
    using cpu = await openCpu({ threads: 2 });
    using product = threadedProduct(cpu);
    for (let n = 0; n < runs; n++) {
      product.run();
      await eventLoopTurns();
    }
  }
});

Deno.test("a process with threads needs no permission and ends by itself", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", new URL("fixture_threads.ts", import.meta.url).href],
    signal: AbortSignal.timeout(60_000),
  }).output();
  assertEquals(new TextDecoder().decode(stderr).replace(/^Check .*\n/gm, ""), "");
  assertEquals(new TextDecoder().decode(stdout), "relaxed_threads 2\n");
  assertEquals(code, 0);
});

Deno.test("setThreads() refuses more threads than there are", async () => {
  using cpu = await openCpu({ threads: 2 });
  for (const threads of [0, 3, NaN]) {
    assertThrows(
      () => cpu.setThreads(threads),
      RangeError,
      `Cannot run on ${threads} threads: the CPU was opened with 2`,
    );
  }
});

Deno.test("openCpu() takes the build without threads for one thread", async () => {
  using cpu = await openCpu();
  assertEquals([cpu.build, cpu.threads], ["relaxed", 1]);
  using plain = await openCpu({ build: "plain", threads: 4 });
  assertEquals([plain.build, plain.threads], ["plain", 1]);
});

Deno.test("openCpu() says so where no build runs", async () => {
  const { validate } = WebAssembly;
  WebAssembly.validate = () => false;
  try {
    await assertRejects(() => openCpu(), Error, "Cannot run on the CPU: this runtime takes no");
  } finally {
    WebAssembly.validate = validate;
  }
});
