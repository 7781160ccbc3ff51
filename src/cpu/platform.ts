/** The CPU, as passes see it. */

import { Parts } from "../passes/parts.ts";
import type { Platform } from "../passes/platform.ts";
import { rowMatrix } from "./machine/matrix.ts";
import { MAX_MEMORY_BYTES } from "./machine/memory.ts";
import type { Cpu } from "./machine/module.ts";
import { CpuProgram } from "./machine/program.ts";
import { createCpuTensor } from "./machine/tensor.ts";
import { CPU_OPS, type CpuKinds } from "./op_set.ts";

/** What the CPU can run inside a block. */
export const CPU_PARTS: Parts<CpuKinds> = new Parts("the CPU", CPU_OPS);

/** The module's memory, for passes. */
export function cpuPlatform(cpu: Cpu): Platform<CpuKinds> {
  return {
    ops: CPU_OPS,
    parts: CPU_PARTS,
    createProgram: () => new CpuProgram(cpu),
    createTensor: (label, shape) => createCpuTensor(cpu, label, shape),
    lackOfRoom: (label, sizeBytes) => {
      const all = cpu.memory.live.sizeBytes + sizeBytes;
      return all <= MAX_MEMORY_BYTES
        ? undefined
        : `with ${label} they take ${all} bytes, and the CPU executor reaches ${MAX_MEMORY_BYTES}`;
    },
    matrixOver: (tensor, { rows, columns, stride }) =>
      rowMatrix(cpu, tensor, [rows, columns], stride),
    // It adds up all rows of an element in turn.
    matmulBwdWScratch: () => 0,
  };
}
