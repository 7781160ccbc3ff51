import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { openGpu } from "../../src/gpu/device.ts";
import { describeNoAdapter, surroundings } from "../../src/gpu/no_adapter.ts";
import { DeviceLostError, UnsupportedDeviceError } from "../../src/model/errors.ts";
import { Staging } from "../../src/gpu/readback.ts";
import { encode, Program, submit } from "../../src/gpu/program.ts";
import { createTensor } from "../../src/gpu/tensor.ts";
import { scaleKernel } from "./probe_kernel.ts";
import "../settle_readbacks.ts";

async function requestAdapter(): Promise<GPUAdapter> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("no adapter: deno run -A tools/ensure_adapter.ts");
  return adapter;
}

/** A device with the default limits, as a caller may bring. */
async function openDevice(): Promise<GPUDevice> {
  return await (await requestAdapter()).requestDevice();
}

/** One turn of the event loop, in which events arrive. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("openGpu() opens a device with all that the adapter allows", async () => {
  const adapter = await requestAdapter();
  using gpu = await openGpu();
  assert(gpu.name !== "");
  for (const name of ["maxBufferSize", "maxStorageBufferBindingSize"] as const) {
    assertEquals(gpu.device.limits[name], adapter.limits[name], name);
  }
  assertEquals(gpu.hasTimestamps, adapter.features.has("timestamp-query"));
  assertEquals(gpu.live, { sizeBytes: 0, count: 0 });
});

Deno.test("openGpu() says what to install where there is no adapter", async () => {
  const platform = Object.getOwnPropertyDescriptor(Navigator.prototype, "gpu") ?? {};
  for (const gpu of [undefined, { requestAdapter: () => Promise.resolve(null) }]) {
    Object.defineProperty(Navigator.prototype, "gpu", { configurable: true, get: () => gpu });
    try {
      await assertRejects(
        () => openGpu(),
        UnsupportedDeviceError,
        "On Linux, install a Vulkan driver",
      );
    } finally {
      Object.defineProperty(Navigator.prototype, "gpu", platform);
    }
  }
});

Deno.test("openGpu() uses a device of the caller's and does not destroy it", async () => {
  const device = await openDevice();
  const gpu = await openGpu(device);
  gpu[Symbol.dispose]();
  device.pushErrorScope("validation");
  device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE }).destroy();
  assertEquals(await device.popErrorScope(), null);
  device.destroy();
});

Deno.test("Gpu.check() throws the first error that no scope caught", async () => {
  using gpu = await openGpu();
  gpu.check();
  const { maxBufferSize } = gpu.device.limits;
  gpu.device.createBuffer({ size: maxBufferSize + 4, usage: GPUBufferUsage.STORAGE });
  gpu.device.createBindGroupLayout({ entries: [{ binding: 2 ** 20, visibility: 4, buffer: {} }] });
  await nextTask();
  const { message } = assertThrows(() => gpu.check(), Error, `Cannot continue on ${gpu.name}: `);
  assert(message.includes(String(maxBufferSize)), message);
  await nextTask();
  assertThrows(() => gpu.check(), Error, message);
});

Deno.test("Staging.read() throws at once when a copy or a bind group was refused", async () => {
  {
    using gpu = await openGpu();
    using tensor = createTensor(gpu, "x", [4]);
    using staging = await Staging.create(gpu, 16);
    const from = { buffer: tensor.buffer, offset: 8 };
    const copy = { from, to: { buffer: staging.buffer, offset: 0 }, sizeBytes: 16 };
    gpu.device.queue.submit([encode(gpu, [], { after: [copy] })]);
    await assertRejects(() => staging.read(), Error, `Cannot continue on ${gpu.name}: `);
  }
  using gpu = await openGpu();
  using tensor = createTensor(gpu, "x", [4]);
  using staging = await Staging.create(gpu, 16);
  using program = new Program(gpu);
  // The same buffer to read and to write.
  program.add(scaleKernel, {
    tensors: { x: tensor, y: tensor },
    overrides: { OFFSET: 0 },
    params: { factor: 1, count: 4 },
    workgroups: [1, 1, 1],
    label: "test",
  });
  submit(gpu, [program]);
  await assertRejects(() => staging.read(), Error, `Cannot continue on ${gpu.name}: `);
});

Deno.test("Gpu.check() and readbacks throw DeviceLostError once the device is gone", async () => {
  const device = await openDevice();
  using gpu = await openGpu(device);
  using staging = await Staging.create(gpu, 16);
  const before = { ...gpu.live };
  device.destroy();
  await device.lost;
  await nextTask();
  assertThrows(() => gpu.check(), DeviceLostError, "the device was lost (destroyed)");
  await assertRejects(() => staging.read(), DeviceLostError, "Load the model again");
  await assertRejects(() => Staging.create(gpu, 16), DeviceLostError);
  assertEquals({ ...gpu.live }, before);
});

Deno.test("Gpu reports no loss when it destroys its own device", async () => {
  const gpu = await openGpu();
  gpu[Symbol.dispose]();
  await gpu.device.lost;
  await nextTask();
  gpu.check();
});

Deno.test("describeNoAdapter() says what helps where it is: no driver of Linux to a page or to Node", () => {
  for (const hasWebGpu of [true, false]) {
    for (const runtime of ["deno", "node", "browser"] as const) {
      const message = describeNoAdapter({ hasWebGpu, runtime });
      assertMatch(message, /^Cannot find a GPU adapter: .+\. [A-Z]/);
      assertEquals(message.includes("Linux"), runtime === "deno");
      assertEquals(message.includes('"cpu"'), runtime !== "deno");
    }
  }
  assertEquals(surroundings().runtime, "deno");
});
