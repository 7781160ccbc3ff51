/** The CPU executor, as checks see it. */

import { defaultThreads } from "../cpu/machine/default_threads.ts";
import { describeCpu } from "../cpu/machine/describe_cpu.ts";
import {
  type CpuMatrix,
  cpuMatrixBytes,
  rowMatrix,
  writeMatrixRows,
} from "../cpu/machine/matrix.ts";
import { type Cpu, type CpuOptions, openCpu } from "../cpu/machine/module.ts";
import { type CpuTensor, createCpuTensor } from "../cpu/machine/tensor.ts";
import { matrixRowBytes } from "../model/weights/dtype.ts";
import { type Bench, sealBench, type Workspace } from "./bench.ts";
import { CHECKED_CPU_OPS, type CheckedCpuKinds } from "./cpu_ops.ts";
import { OwningProgram } from "./cpu_softplus.ts";

/** Words before each tensor, beside the guard that checks put behind it: ops write to addresses, and may go below. */
const GUARD = 64;

/** NaN as f32, and a pair of NaN as f16 and as bf16. */
const NAN_WORD = 0x7fff7fff;

/**
 * Opens the CPU for checks, with as many threads as models get; disposing ends them.
 *
 * @throws {Error} If this runtime has no SIMD for WebAssembly.
 */
export async function openCpuBench(options: CpuOptions = {}): Promise<Bench & Disposable> {
  const cpu = await openCpu({ ...options, threads: options.threads ?? defaultThreads() });
  return { ...cpuBench(cpu), [Symbol.dispose]: () => cpu[Symbol.dispose]() };
}

/** The bench of a CPU that is open. */
export function cpuBench(cpu: Cpu): Bench {
  return sealBench<CheckedCpuKinds>({
    device: describeCpu(cpu, false),
    build: cpu.build,
    threads: cpu.threads,
    ops: CHECKED_CPU_OPS,
    open: () => new CpuWorkspace(cpu),
  });
}

class CpuWorkspace implements Workspace<CheckedCpuKinds> {
  readonly program: OwningProgram;
  readonly #cpu: Cpu;
  readonly #owned: Disposable[] = [];
  readonly #guards: CpuTensor[] = [];

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.program = new OwningProgram(cpu);
  }

  tensor(words: Uint32Array<ArrayBuffer>): CpuTensor {
    const whole = createCpuTensor(this.#cpu, "guarded", [GUARD + words.length]);
    this.#owned.push(whole);
    const guard = whole.view(0, [GUARD]);
    guard.write(new Uint32Array(GUARD).fill(NAN_WORD));
    this.#guards.push(guard);
    const tensor = whole.view(GUARD * 4, [words.length]);
    tensor.write(words);
    return tensor;
  }

  tensors(words: readonly Uint32Array<ArrayBuffer>[]): CpuTensor[] {
    return words.map((each) => this.tensor(each));
  }

  matrix(
    { dtype, stored }: Parameters<Workspace["matrix"]>[0],
    shape: readonly [number, number],
    { guard }: Parameters<Workspace["matrix"]>[2],
  ): CpuMatrix {
    const sizeBytes = cpuMatrixBytes(shape, dtype);
    const words = new Uint32Array(sizeBytes / 4 + guard.length);
    words.set(guard, sizeBytes / 4);
    const [rows, columns] = shape;
    const { address } = this.tensor(words);
    const cpu = this.#cpu;
    const matrix = { rows, columns, dtype, address, sizeBytes, cpu, [Symbol.dispose]() {} };
    writeMatrixRows(matrix, 0, stored);
    return matrix;
  }

  matrixOver(tensor: CpuTensor, shape: readonly [number, number]): CpuMatrix {
    return rowMatrix(this.#cpu, tensor, shape, matrixRowBytes(shape[1], "f32") / 4);
  }

  // deno-lint-ignore require-await -- other executors have to wait here.
  async run(tensors: readonly CpuTensor[]): Promise<Uint32Array<ArrayBuffer>[]> {
    this.program.run();
    for (const guard of this.#guards) {
      const at = guard.readWords().findLastIndex((word) => word !== NAN_WORD);
      if (at >= 0) {
        throw new RangeError(`Cannot trust the ops: one wrote ${GUARD - at} words below a tensor`);
      }
    }
    return tensors.map((tensor) => tensor.readWords());
  }

  [Symbol.dispose](): void {
    this.program[Symbol.dispose]();
    for (const owned of this.#owned) owned[Symbol.dispose]();
  }
}
