import type { CpuTensor } from "../machine/tensor.ts";

/**
 * Checks that a tensor holds what an op reads or writes of it: past its end lies another's memory.
 *
 * @throws {RangeError} If it is too small.
 */
export function requireSize(label: string, name: string, tensor: CpuTensor, size: number): void {
  if (tensor.size < size) {
    throw new RangeError(
      `Cannot record ${label}: ${name} has ${tensor.size} elements, and the sizes given need ${size}`,
    );
  }
}
