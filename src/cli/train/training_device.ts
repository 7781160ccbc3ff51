/** What trains, and what to expect of it: said before anything is downloaded or computed. */

import { describeAdapter } from "../../model/adapter.ts";
import { UnsupportedDeviceError } from "../../model/errors.ts";

/** What of `navigator.gpu` is asked. */
type AdapterSource = Pick<GPU, "requestAdapter">;

/**
 * Describes what WebGPU would train on, in one line.
 *
 * @throws {UnsupportedDeviceError} If there is no adapter, with what to install.
 */
export async function describeTrainingDevice(
  gpu: AdapterSource | undefined = globalThis.navigator?.gpu,
): Promise<string> {
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new UnsupportedDeviceError(
      "Cannot train: there is no GPU adapter, and training runs on WebGPU alone. On Debian or Ubuntu, " +
        "apt-get install mesa-vulkan-drivers libvulkan1 (a software one, slow); elsewhere, install " +
        "the GPU's Vulkan driver",
    );
  }
  const { name, isSoftware } = describeAdapter(adapter.info);
  return isSoftware
    ? `${name}, a software adapter: training is right, and many times slower than on a GPU`
    : name;
}
