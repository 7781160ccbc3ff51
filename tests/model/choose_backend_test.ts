import { assertEquals } from "@std/assert";
import { chooseBackend } from "../../src/model/choose_backend.ts";

/** What navigator.gpu is where an adapter says this of itself, or where there is none. */
function gpuWith(info: Partial<GPUAdapterInfo> | null): Pick<GPU, "requestAdapter"> {
  const adapter = info === null ? null : { info } as GPUAdapter;
  return { requestAdapter: () => Promise.resolve(adapter) };
}

Deno.test("chooseBackend() takes a GPU, and the CPU where an adapter is none or not there", async () => {
  assertEquals(await chooseBackend(gpuWith({ vendor: "4318", description: "NVIDIA H100" })), {
    backend: "webgpu",
    reason: "there is a GPU",
  });
  assertEquals(await chooseBackend(gpuWith({ description: "llvmpipe (LLVM 15)" })), {
    backend: "cpu",
    reason: "llvmpipe (LLVM 15) is no GPU, and slower",
  });
  assertEquals(await chooseBackend(gpuWith(null)), { backend: "cpu", reason: "there is no GPU" });
});
