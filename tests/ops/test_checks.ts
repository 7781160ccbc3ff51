import { assert } from "@std/assert";
import { withGpu } from "../with_gpu.ts";
import { checksWith, type KernelCheck } from "../../src/checks/kernel_check.ts";
import { webgpuBench } from "../../src/checks/webgpu_bench.ts";
import { CHECKED_WEBGPU_OPS } from "../../src/checks/webgpu_ops.ts";

/** Makes a test of each check whose ops WebGPU has, named after the op's function. */
export function testChecks(checks: readonly KernelCheck[]): void {
  for (const check of checksWith(CHECKED_WEBGPU_OPS, checks)) {
    const op = check.kernel.replace(/(?<=[a-z0-9])_([a-z])/g, (_, letter) => letter.toUpperCase());
    Deno.test(
      `${op}() agrees with its oracle: ${check.name}`,
      withGpu(async (gpu) => {
        const { worst, detail } = await check.run(webgpuBench(gpu));
        assert(worst <= 1, `the error is ${worst.toPrecision(4)} x its limit: ${detail}`);
      }),
    );
  }
}
