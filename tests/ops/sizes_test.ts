import { assertEquals, assertThrows } from "@std/assert";
import { checksWith } from "../../src/checks/kernel_check.ts";
import { KERNEL_CHECKS } from "../../src/checks/kernel_checks.ts";
import { webgpuBench } from "../../src/checks/webgpu_bench.ts";
import { CHECKED_WEBGPU_OPS } from "../../src/checks/webgpu_ops.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { Dispatch, Kernel, KernelUse } from "../../src/gpu/kernel.ts";
import { Program } from "../../src/gpu/program.ts";
import { Tensor } from "../../src/gpu/tensor.ts";
import { roundUp } from "../../src/model/shapes.ts";
import { ALL_KERNELS } from "../../src/ops/kernels.ts";
import { withGpu } from "../with_gpu.ts";
import { WHOLE_STEP_KERNELS } from "../whole_step_kernels.ts";

/** A kernel, and how a check has used it. */
interface Use {
  readonly tensors: Readonly<Record<string, Tensor>>;
  dispatch(tensors: Readonly<Record<string, Tensor>>): Dispatch;
}

/** One use of each kernel, by its name. */
async function usesByKernel(gpu: Gpu): Promise<Map<string, Use>> {
  const uses = new Map<string, Use>();
  const { add } = Program.prototype;
  Program.prototype.add = function <B extends string, P extends string, O extends string>(
    this: Program,
    kernel: Kernel<B, P, O>,
    use: KernelUse<B, P, O>,
  ): void {
    const dispatch = (tensors: Readonly<Record<string, Tensor>>) =>
      kernel.dispatch(gpu, { ...use, tensors: { ...use.tensors, ...tensors } });
    uses.set(kernel.name, { tensors: use.tensors, dispatch });
    add.call(this, kernel, use);
  };
  try {
    // The last of a kernel's checks, for the first ones have the sizes of whole models.
    const there = checksWith(CHECKED_WEBGPU_OPS, KERNEL_CHECKS);
    const checks = new Map(there.map((check) => [check.kernel, check]));
    for (const check of checks.values()) await check.run(webgpuBench(gpu));
  } finally {
    Program.prototype.add = add;
  }
  return uses;
}

/** The tensor, as if it had another size. */
function resized(gpu: Gpu, { buffer, shape, offset }: Tensor, sizeBytes: number): Tensor {
  return new Tensor(gpu, buffer, shape, { offset, sizeBytes, owner: false });
}

Deno.test(
  "every kernel refuses each tensor that is a vec4 short, and takes one that is not",
  withGpu(async (gpu) => {
    const uses = await usesByKernel(gpu);
    for (const { name, bindings } of ALL_KERNELS) {
      if (WHOLE_STEP_KERNELS.includes(name)) continue;
      const use = uses.get(name);
      const needed: string[] = [];
      for (const [binding, tensor] of Object.entries(use?.tensors ?? {})) {
        const dispatch = (sizeBytes: number) =>
          use?.dispatch({ [binding]: resized(gpu, tensor, sizeBytes) });
        let least = 0;
        try {
          dispatch(0);
          continue; // The binding is switched off.
        } catch (error) {
          least = Number(/and (\d+) are needed/.exec(String(error))?.[1]);
        }
        needed.push(binding);
        dispatch(roundUp(least, 16));
        const { message } = assertThrows(() => dispatch(roundUp(least, 16) - 16), RangeError);
        assertEquals(message.startsWith(`Cannot bind "${binding}" of ${name} in check`), true);
      }
      assertEquals(Object.keys(use?.tensors ?? {}).toSorted(), Object.keys(bindings).toSorted());
      assertEquals(
        needed.length >= Math.min(2, Object.keys(bindings).length),
        true,
        `${name} needs ${needed}`,
      );
    }
  }),
);
