import { assertEquals, assertThrows } from "@std/assert";
import type { Gpu } from "../../src/gpu/device.ts";
import { requireTrainable } from "../../src/webgpu/require_trainable.ts";
import { parseConfig } from "../../src/model/config/config.ts";
import { goldenPath } from "../golden_files.ts";
import type { Mamba1Config } from "../../src/model/mixers/mamba1.ts";
import { mamba1Config } from "../mamba1_config.ts";
import { withGpu } from "../with_gpu.ts";

Deno.test(
  "requireTrainable() refuses a device by its limits, before anything compiles",
  withGpu((gpu) => {
    const path = goldenPath("mamba1", "config.json");
    const config = mamba1Config(parseConfig(JSON.parse(Deno.readTextFileSync(path))));
    const wide: Mamba1Config = { ...config, d_conv: 33 };
    const deep: Mamba1Config = { ...config, d_state: 1025 };
    const limits = { maxStorageBufferBindingSize: 2 ** 27, maxBufferSize: 2 ** 28 };
    const withLimits = (more: Partial<GPUSupportedLimits>): Gpu => {
      const all = { ...limits, maxStorageBuffersPerShaderStage: 8, ...more };
      return Object.create(gpu, { device: { value: { limits: all } } });
    };
    requireTrainable(withLimits({}), config);
    assertThrows(
      () => requireTrainable(withLimits({ maxStorageBuffersPerShaderStage: 7 }), config),
      RangeError,
      `Cannot train on ${gpu.name}: it gives a kernel 7 storage buffers, and 8 are needed`,
    );
    assertThrows(
      () => requireTrainable(withLimits({ maxBufferSize: 1024 }), config),
      RangeError,
      "Cannot train a model of",
    );
    assertThrows(
      () => requireTrainable(withLimits({}), wide),
      RangeError,
      "Cannot train conv1d with d_conv 33",
    );
    assertThrows(
      () => requireTrainable(withLimits({}), deep),
      RangeError,
      "Cannot run this model: d_state is 1025, and kernels take 1024",
    );
    assertEquals(gpu.pipelines.size, 0);
  }),
);
