import { assertEquals } from "@std/assert";
import { describeAdapter } from "../../src/model/adapter.ts";

Deno.test("describeAdapter() names an adapter as browsers and Deno give it, and tells software ones", () => {
  const cases: [Partial<GPUAdapterInfo> | undefined, string, boolean][] = [
    [{ vendor: "4318", device: "9008", description: "NVIDIA H100" }, "NVIDIA H100", false],
    [
      { vendor: "65541", device: "0", description: "llvmpipe (LLVM 15)" },
      "llvmpipe (LLVM 15)",
      true,
    ],
    [{ vendor: "nvidia", architecture: "ampere", device: "" }, "nvidia ampere", false],
    [{ vendor: "google", architecture: "swiftshader" }, "google swiftshader", true],
    [{ vendor: "apple", architecture: "metal-3" }, "apple metal-3", false],
    [{ vendor: "microsoft", isFallbackAdapter: true }, "microsoft", true],
    [{ vendor: "", architecture: "", device: "", description: "" }, "unknown adapter", false],
    [undefined, "unknown adapter", false],
  ];
  for (const [info, name, isSoftware] of cases) {
    const found = describeAdapter({ info: info as GPUAdapterInfo });
    assertEquals(found, { name, isSoftware, isOpenGl: false });
  }
});

Deno.test("describeAdapter() tells OpenGL by what it has no limit of, and no other platform", () => {
  const cases: [string, number, GPUFeatureName[], boolean][] = [
    ["OpenGL", 2 ** 32 - 1, ["timestamp-query"], true],
    ["Vulkan", 1024, ["shader-f16", "bgra8unorm-storage"], false],
    ["an old Vulkan", 1000, [], false],
    ["Metal", 2 ** 32 - 1, ["shader-f16", "bgra8unorm-storage"], false],
    ["Direct3D 12", 2 ** 32 - 1, ["bgra8unorm-storage"], false],
  ];
  for (const [platform, maxBindingsPerBindGroup, features, isOpenGl] of cases) {
    const found = describeAdapter({
      info: { description: "an adapter" } as GPUAdapterInfo,
      limits: { maxBindingsPerBindGroup } as GPUSupportedLimits,
      features: new Set(features),
    });
    const name = isOpenGl ? "an adapter over OpenGL" : "an adapter";
    assertEquals(found, { name, isSoftware: false, isOpenGl }, platform);
  }
});
