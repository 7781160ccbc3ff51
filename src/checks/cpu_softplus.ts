/** softplus() of the CPU's module, which its ops have only within: here a scan of one step shows it. */

import { selectiveScanFwd } from "../cpu/ops/selective_scan.ts";
import { CpuProgram } from "../cpu/machine/program.ts";
import { type CpuTensor, createCpuTensor } from "../cpu/machine/tensor.ts";

/** A program that owns tensors. */
export class OwningProgram extends CpuProgram {
  readonly #owned: CpuTensor[] = [];

  /** A tensor of these values, which is freed with the program. */
  tensor(values: Float32Array): CpuTensor {
    const tensor = createCpuTensor(this.cpu, "owned", [values.length]);
    this.#owned.push(tensor);
    tensor.write(values);
    return tensor;
  }

  /** Frees the list and the tensors. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
  }
}

/** y (size) = softplus(x). */
export function softplus(
  program: OwningProgram,
  { x, y }: { readonly x: CpuTensor; readonly y: CpuTensor },
  { size, label }: { readonly size: number; readonly label: string },
): void {
  // dt is what a state of zeros becomes where B and u are 1.
  y.view(0, [size]).clear();
  const ones = program.tensor(new Float32Array(size).fill(1));
  const tensors = {
    u: ones,
    dt: x,
    x_dbl: program.tensor(Float32Array.of(0, 1, 1)),
    xz: program.tensor(new Float32Array(2 * size)),
    A_log: ones,
    D: ones,
    ssm_state: y,
    y: program.tensor(new Float32Array(size)),
  };
  const shape = { batch: 1, seqlen: 1, d_inner: size, d_state: 1, dt_rank: 1 };
  selectiveScanFwd(program, tensors, { ...shape, label });
}
