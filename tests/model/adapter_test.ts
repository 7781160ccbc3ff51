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
    assertEquals(describeAdapter(info as GPUAdapterInfo), { name, isSoftware });
  }
});
