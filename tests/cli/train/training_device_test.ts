import { assertEquals, assertRejects } from "@std/assert";
import { describeTrainingDevice } from "../../../src/cli/train/training_device.ts";
import { UnsupportedDeviceError } from "../../../src/model/errors.ts";

/** A platform whose adapter says this of itself, or that has none. */
function platform(info: Partial<GPUAdapterInfo> | undefined): Pick<GPU, "requestAdapter"> {
  const adapter = info === undefined ? null : { info } as unknown as GPUAdapter;
  return { requestAdapter: () => Promise.resolve(adapter) };
}

Deno.test("describeTrainingDevice() names a GPU, and says what to expect of a software adapter", async () => {
  const gpu = platform({ description: "NVIDIA H100", isFallbackAdapter: false });
  assertEquals(await describeTrainingDevice(gpu), "NVIDIA H100");
  assertEquals(
    await describeTrainingDevice(platform({ description: "llvmpipe", isFallbackAdapter: true })),
    "llvmpipe, a software adapter: training is right, and many times slower than on a GPU",
  );
});

Deno.test("describeTrainingDevice() says what to install where there is no adapter", async () => {
  await assertRejects(
    () => describeTrainingDevice(platform(undefined)),
    UnsupportedDeviceError,
    "Cannot train: there is no GPU adapter, and training runs on WebGPU alone. On Debian or Ubuntu, apt-get install",
  );
});
